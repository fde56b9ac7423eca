import {
  formEncode,
  readClientOptions,
  requireLine,
  requireOption,
  requireText,
  requireTimeout,
} from './client-options.ts'

/** The credentials of a token source, and its limits. */
export interface TokenSourceOptions {
  /**
   * The token server's base URL: http or https, optionally with a path. Slashes or white space at its end are ignored.
   */
  readonly url: string | URL
  readonly clientId: string
  /** Omit it for a public client, which then sends its `client_id` in the form. */
  readonly clientSecret?: string | undefined
  readonly username: string
  /** Must not end with a line break; trim a password that you read from a file. */
  readonly password: string
  /** The path of the token endpoint below `url`. Default: `/Token`. */
  readonly path?: string | undefined
  /** Whether to sign in again, at most once a minute, when the token ends before it expires. Default: `false`. */
  readonly takeOver?: boolean | undefined
  /** The longest time that one call may take, in milliseconds, waits included. Default: 30,000. */
  readonly timeoutMs?: number | undefined
  /** Sends the requests. Default: `globalThis.fetch`, looked up at each request. */
  readonly fetch?: typeof globalThis.fetch | undefined
}

/** The checked options, as a request of RFC 6749 §4.3.2. */
export interface Settings {
  /** The URL of the token endpoint. */
  readonly endpoint: string
  readonly headers: Readonly<Record<string, string>>
  /** The encoded form. */
  readonly body: string
  /** Every encoding in which a request sends a secret; none must reach a message. */
  readonly secrets: readonly string[]
  readonly takeOver: boolean
  readonly timeoutMs: number
  readonly fetch: typeof globalThis.fetch | undefined
}

/** Checks the options. Throws a TypeError that names the wrong option and does not repeat its value. */
export function readOptions(options: TokenSourceOptions): Settings {
  const { clientId, clientSecret, username, password, takeOver = false, timeoutMs = 30_000, fetch } = options
  const { endpoint, basic } = readClientOptions(options, options.path ?? '/Token')
  requireLine('username', username)
  requireText('password', password)
  requireOption(!/[\r\n]$/.test(password), 'password must not end with a line break')
  requireOption(typeof takeOver === 'boolean', 'takeOver must be true or false')
  requireTimeout('timeoutMs', timeoutMs)
  requireOption(fetch === undefined || typeof fetch === 'function', 'fetch must be a function')
  const form = { grant_type: 'password', username, password }
  return {
    endpoint,
    headers: { ...headers, ...(basic === null ? {} : { authorization: `Basic ${basic}` }) },
    body: new URLSearchParams(basic === null ? { ...form, client_id: clientId } : form).toString(),
    secrets: spell([password, clientSecret], basic),
    takeOver,
    timeoutMs,
    fetch,
  }
}

const headers = { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' }

/** Lists the longest first: removing a shorter one first would leave parts of a longer one that contains it. */
function spell(secrets: readonly (string | undefined)[], basic: string | null): readonly string[] {
  const given = secrets.filter((secret) => secret !== undefined)
  const encoded = given.map(formEncode)
  const spellings = [...given, ...encoded, ...encoded.map((text) => text.replaceAll('+', '%20')), basic ?? []].flat()
  return spellings.sort((one, other) => other.length - one.length)
}
