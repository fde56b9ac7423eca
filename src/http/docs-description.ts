/** The page's own copy of `openapi.yaml`: it names the token endpoint where it listens, and its forms are empty. */
export function docsDescription<T extends object>(document: T, tokenPath: string): T {
  const description = document as unknown as Description // our own file, and the tests hold what stands in it
  const { paths, components } = description
  moveToken(description, tokenPath)
  for (const { post } of Object.values(paths)) emptyForm(components.schemas, post)
  return document
}

/** What of `openapi.yaml` is looked at. */
interface Description {
  paths: Record<string, { post?: Operation }>
  readonly components: {
    readonly schemas: Schemas
    readonly securitySchemes: { passwordGrant: { flows: { password: { tokenUrl: string } } } }
  }
}
interface Operation {
  readonly requestBody?: { readonly content: Record<string, { readonly schema: { readonly $ref: string } }> }
}
type Schemas = Record<string, { properties?: Record<string, { const?: string; default?: string }> }>

const writtenPath = '/Token'

function moveToken(description: Description, tokenPath: string): void {
  const { paths, components } = description
  description.paths = Object.fromEntries(
    Object.entries(paths).map(([path, item]) => [path === writtenPath ? tokenPath : path, item]),
  )
  components.securitySchemes.passwordGrant.flows.password.tokenUrl = tokenPath
}

/** Swagger UI begins with invented values; a second client secret among them would have each sign-in refused. */
function emptyForm(schemas: Schemas, { requestBody }: Operation = {}): void {
  const { schema } = requestBody?.content['application/x-www-form-urlencoded'] ?? {}
  const fields = schemas[schema?.$ref.split('/').at(-1) ?? '']?.properties ?? {}
  for (const field of Object.values(fields)) field.default = field.const ?? ''
}
