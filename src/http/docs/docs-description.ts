import type { Dialect } from '../../dialects/dialect.ts'
import { dialects } from '../../dialects/index.ts'

/**
 * The page's own copy of `openapi.yaml`: each dialect stands where it listens, those that are not mounted are marked
 * and cannot be tried, and forms are empty.
 */
export function docsDescription<T extends object>(document: T, mounted: readonly Dialect[]): T {
  const description = document as unknown as Description // our own file, and the tests hold what stands in it
  const { paths, components } = description
  description.paths = Object.fromEntries(Object.entries(paths).flatMap(([path, item]) => place(path, item, mounted)))
  for (const { post } of Object.values(paths)) emptyForm(components.schemas, post)
  leaveOutSchemes(description, mounted)
  return document
}

/** What of `openapi.yaml` is looked at. */
interface Description {
  paths: Record<string, PathItem>
  readonly components: { readonly schemas: Schemas; readonly securitySchemes: Record<string, SecurityScheme> }
}
interface PathItem {
  /** The dialect without which it is not there. */
  readonly 'x-dialect'?: string
  readonly get?: Operation
  readonly post?: Operation
  readonly delete?: Operation
}
interface Operation {
  summary: string
  'x-try-it-out'?: boolean
  security: Record<string, unknown>[]
  readonly requestBody?: { readonly content: Record<string, { readonly schema: { readonly $ref: string } }> }
}
interface SecurityScheme {
  readonly 'x-dialect'?: string
  readonly flows?: { readonly password: { tokenUrl: string } }
}
type Schemas = Record<string, { properties?: Record<string, { const?: string; default?: string }> }>

function place(path: string, item: PathItem, mounted: readonly Dialect[]): [path: string, item: PathItem][] {
  const name = item['x-dialect']
  if (name === undefined) return [[path, item]]
  const dialect = mounted.find((one) => one.name === name)
  if (dialect) return [[path === writtenPath(name) ? dialect.path : path, item]]
  for (const operation of operationsOf(item)) {
    operation.summary = `(not switched on here) ${operation.summary}`
    operation['x-try-it-out'] = false
  }
  return mounted.some((other) => plainly(other.path) === plainly(path)) ? [] : [[path, item]]
}

/** Where a dialect listens unless it is told otherwise, as in `openapi.yaml`. */
function writtenPath(name: string): string | undefined {
  return Object.values(dialects).find((dialect) => dialect.name === name)?.path
}

function operationsOf({ get, post, delete: remove }: PathItem): Operation[] {
  return [get, post, remove].filter((operation) => operation !== undefined)
}

function plainly(path: string): string {
  return path.toLowerCase().replace(/\/$/, '')
}

/** A scheme by which no dialect of this server signs anybody in, or takes a token. */
function leaveOutSchemes({ paths, components }: Description, mounted: readonly Dialect[]): void {
  for (const [name, scheme] of Object.entries(components.securitySchemes)) {
    const needed = scheme['x-dialect']
    const dialect = mounted.find((one) => one.name === needed)
    if (dialect && scheme.flows) scheme.flows.password.tokenUrl = dialect.path
    if (dialect || needed === undefined) continue
    delete components.securitySchemes[name]
    for (const operation of Object.values(paths).flatMap(operationsOf)) {
      operation.security = operation.security.filter((accepted) => !(name in accepted))
    }
  }
}

/** Swagger UI begins with invented values; a second client secret among them would have each sign-in refused. */
function emptyForm(schemas: Schemas, { requestBody }: Partial<Operation> = {}): void {
  const { schema } = requestBody?.content['application/x-www-form-urlencoded'] ?? {}
  const fields = schemas[schema?.$ref.split('/').at(-1) ?? '']?.properties ?? {}
  for (const field of Object.values(fields)) field.default = field.const ?? ''
}
