/** The parts of `openapi.yaml` that the generators read. */
export interface Description {
  readonly paths: Readonly<Record<string, PathItem>>
  readonly components: {
    readonly responses: Readonly<Record<string, Described>>
    readonly schemas: Readonly<Record<string, Schema>>
  }
}

export type PathItem = Readonly<Record<string, Operation>>

export interface Operation {
  readonly description?: string
  readonly security?: readonly object[]
  readonly requestBody?: { readonly content: Readonly<Record<string, Content>> }
  readonly responses?: Readonly<Record<string, Described>>
}

export interface Described {
  readonly $ref?: string
  readonly description?: string
  readonly headers?: Readonly<Record<string, { readonly $ref?: string }>>
  readonly content?: Readonly<Record<string, Content>>
}

interface Content {
  readonly schema?: Schema
  readonly example?: Body
  readonly examples?: Readonly<Record<string, { readonly summary: string; readonly value: Body }>>
}

export interface Schema {
  readonly $ref?: string
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, { readonly const?: string }>>
  readonly xml?: { readonly name: string; readonly namespace?: string }
}

/** A refusal in the words of any dialect. */
export interface Body {
  readonly error?: string
  readonly error_description?: string
  readonly message?: string
  readonly success?: boolean
  readonly errors?: { readonly code: string; readonly message: string; readonly type: string }
  /** What the health check is missing. */
  readonly reason?: string
}

/** Returns a response. Follows its `$ref`, if it has one. */
export function findResponse({ components }: Description, response: Described): Described {
  return components.responses[lastOf(response)] ?? response
}

/** Returns a schema. Follows its `$ref`, if it has one. */
export function findSchema({ components }: Description, schema: Schema): Schema {
  return components.schemas[lastOf(schema)] ?? schema
}

function lastOf({ $ref = '' }: { readonly $ref?: string }): string {
  return $ref.split('/').at(-1) ?? ''
}

/** Examples that show one situation in the words of each way to send a token. */
export const schemeExamples = ['plain', 'enveloped']

/** Returns the first sentence of a description, on one line. */
export function readFirstSentence(text: string): string {
  const line = text.trim().replaceAll(/\s+/g, ' ')
  return /^.*?\.(?= |$)/.exec(line)?.[0] ?? line
}
