/** What a token source signs in with, and how. */
export interface TokenSourceOptions {
  /** The token server's base address: http or https, perhaps with a path; a slash at its end changes nothing. */
  readonly url: string | URL
  readonly clientId: string
  /** Left out for a public client, which then sends its `client_id` in the form. */
  readonly clientSecret?: string | undefined
  readonly username: string
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
  for (const [name, text] of Object.entries({ clientId, username, password })) requireText(name, text)
  if (clientSecret !== undefined) requireText('clientSecret', clientSecret)
  requireThat(typeof takeOver === 'boolean', 'takeOver must be true or false')
  requireThat(Number.isInteger(timeoutMs) && timeoutMs >= 1 && timeoutMs <= longestTimerMs, timeoutRule)
  requireThat(fetch === undefined || typeof fetch === 'function', 'fetch must be a function')
  const endpoint = readEndpoint(options.url, options.path ?? '/Token')
  const form = { grant_type: 'password', username, password }
  const basic = clientSecret === undefined ? null : writeBasic(clientId, clientSecret)
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

/** The longest a timer takes; a longer one would end at once. */
const longestTimerMs = 2 ** 31 - 1

const timeoutRule = `timeoutMs must be a whole number from 1 to ${longestTimerMs}`

const headers = { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' }

function requireText(name: string, text: unknown): void {
  requireThat(typeof text === 'string' && text !== '', `${name} must be a string that is not empty`)
}

function requireThat(isRight: boolean, rule: string): asserts isRight {
  if (!isRight) throw new TypeError(`${rule}.`)
}

function readEndpoint(url: string | URL, path: string): string {
  const base = URL.canParse(String(url)) ? new URL(url) : null
  requireThat(base !== null && /^https?:$/.test(base.protocol), 'url must be an http:// or https:// address')
  const { username, password, search, hash, href } = base
  requireThat(username + password + search + hash === '', 'url must have no user, password, query or fragment')
  requireThat(typeof path === 'string' && /^\/[^?#]*$/.test(path), 'path must begin with a slash and have no query')
  return href.replace(/(?<![/?#])\/*[?#]*$/, path.replaceAll('$', '$$$$'))
}

/** RFC 6749 §2.3.1: each half is form-encoded before they are joined. */
function writeBasic(clientId: string, clientSecret: string): string {
  return btoa(`${formEncode(clientId)}:${formEncode(clientSecret)}`)
}

function formEncode(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1)
}

/** Longest first, so that none is left over in pieces when a shorter one within it is taken out. */
function spell(secrets: readonly (string | undefined)[], basic: string | null): readonly string[] {
  const given = secrets.filter((secret) => secret !== undefined)
  const encoded = given.map(formEncode)
  const spellings = [...given, ...encoded, ...encoded.map((text) => text.replaceAll('+', '%20')), basic ?? []].flat()
  return spellings.sort((one, other) => other.length - one.length)
}
