import type { Fields } from './fields.ts'

/** A request as a dialect sees it, before and after decoding. */
export interface WireRequest {
  /** The body as text; U+FFFD replaces bytes that are not UTF-8. */
  readonly text: string
  /** The raw query, without its question mark; `''` when there is none. */
  readonly query: string
  /** The headers as sent, with names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** The fields that `decode` returned; empty before that, and when it threw. */
  readonly fields: Fields
}
