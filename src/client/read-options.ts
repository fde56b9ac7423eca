import {
  formEncode,
  readClientOptions,
  requireLine,
  requireOption,
  requireText,
  requireTimeout,
} from './client-options.ts'

/** What a token source signs in with, and how. */
export interface TokenSourceOptions {
  /** The token server's base address: http or https, perhaps with a path; a slash or white space at its end changes nothing. */
  readonly url: string | URL
  readonly clientId: string
  /** Left out for a public client, which then sends its `client_id` in the form. */
  readonly clientSecret?: string | undefined
  readonly username: string
  /** Must not end with a line break, as the text of a file does. */
  readonly password: string
  /** Where the token endpoint is, below `url`: `/Token` unless given. */
  readonly path?: string | undefined
  /** Signs in again, at most once a minute, when the token is ended before it expires: `false` unless given. */
  readonly takeOver?: boolean | undefined
  /** The longest that one call may take in milliseconds, waits included: 30,000 unless given. */
  readonly timeoutMs?: number | undefined
  /** What sends the requests: `globalThis.fetch`, as it is at each request, unless given. */
  readonly fetch?: typeof globalThis.fetch | undefined
}

/** The options as they are worked with: checked, and put into the words of RFC 6749 §4.3.2. */
export interface Settings {
  /** The address of the token endpoint. */
  readonly endpoint: string
  readonly headers: Readonly<Record<string, string>>
  /** The form, encoded. */
  readonly body: string
  /** Every spelling in which a secret is sent; none may reach a message. */
  readonly secrets: readonly string[]
  readonly takeOver: boolean
  readonly timeoutMs: number
  readonly fetch: typeof globalThis.fetch | undefined
}

/** Checks the options; throws a TypeError that names the wrong one and repeats nothing of its value. */
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

/** Longest first, so that none is left over in pieces when a shorter one within it is taken out. */
function spell(secrets: readonly (string | undefined)[], basic: string | null): readonly string[] {
  const given = secrets.filter((secret) => secret !== undefined)
  const encoded = given.map(formEncode)
  const spellings = [...given, ...encoded, ...encoded.map((text) => text.replaceAll('+', '%20')), basic ?? []].flat()
  return spellings.sort((one, other) => other.length - one.length)
}
