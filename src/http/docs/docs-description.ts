import type { Dialect } from '../../dialects/dialect.ts'
import { dialects } from '../../dialects/index.ts'

/**
 * Adapts `openapi.yaml` to this server: gives each dialect its configured path, marks dialects that are not mounted and
 * disables trying them, and empties the forms.
 */
export function docsDescription<T extends object>(document: T, mounted: readonly Dialect[]): T {
  const description = document as unknown as Description // our own file, whose content the tests check
  const { paths, components } = description
  description.paths = Object.fromEntries(Object.entries(paths).flatMap(([path, item]) => place(path, item, mounted)))
  for (const { post } of Object.values(paths)) emptyForm(components.schemas, post)
  leaveOutSchemes(description, mounted)
  return document
}

/** The parts of `openapi.yaml` that this file reads. */
interface Description {
  paths: Record<string, PathItem>
  readonly components: { readonly schemas: Schemas; readonly securitySchemes: Record<string, SecurityScheme> }
}
interface PathItem {
  /** The dialect that the path belongs to. */
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

/** Returns the default path of a dialect, which is its path in `openapi.yaml`. */
function writtenPath(name: string): string | undefined {
  return Object.values(dialects).find((dialect) => dialect.name === name)?.path
}

function operationsOf({ get, post, delete: remove }: PathItem): Operation[] {
  return [get, post, remove].filter((operation) => operation !== undefined)
}

function plainly(path: string): string {
  return path.toLowerCase().replace(/\/$/, '')
}

/** Removes the security schemes of dialects that are not mounted. */
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

/**
 * Empties a form. Swagger UI would fill in invented values, and an invented second client secret would fail each
 * sign-in.
 */
function emptyForm(schemas: Schemas, { requestBody }: Partial<Operation> = {}): void {
  const { schema } = requestBody?.content['application/x-www-form-urlencoded'] ?? {}
  const fields = schemas[schema?.$ref.split('/').at(-1) ?? '']?.properties ?? {}
  for (const field of Object.values(fields)) field.default = field.const ?? ''
}
