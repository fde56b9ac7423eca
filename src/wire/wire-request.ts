import type { Fields } from './fields.ts'

/** What arrived, before and after it is understood. */
export interface WireRequest {
  /** The body as UTF-8 text; U+FFFD stands for bytes that are none. */
  readonly text: string
  /** What follows the path's question mark, as sent; `''` when nothing does. */
  readonly query: string
  /** As sent; names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** What `decode` made of it; empty until then, and where it refused. */
  readonly fields: Fields
}
