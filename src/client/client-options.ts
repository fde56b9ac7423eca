/** The URL of a token server, and the credentials of the client under which a program is registered there. */
export interface ClientOptions {
  readonly url: string | URL
  readonly clientId: string
  readonly clientSecret?: string | undefined
}

/** The client options in the form that a request needs. */
export interface ClientSettings {
  /** The URL of the endpoint. */
  readonly endpoint: string
  /** The credentials for `Authorization: Basic`, null for a public client. */
  readonly basic: string | null
}

/**
 * Reads the options that both the guard and the client take, for an endpoint at `path` below `url`. Ignores white space
 * around `url` and slashes at its end. Throws a TypeError that names the wrong option and does not repeat its value.
 */
export function readClientOptions({ url, clientId, clientSecret }: ClientOptions, path: string): ClientSettings {
  const endpoint = readEndpoint(url, path)
  requireLine('clientId', clientId)
  if (clientSecret === undefined) return { endpoint, basic: null }
  requireLine('clientSecret', clientSecret)
  // RFC 6749 §2.3.1: form-encode each half, then join them
  return { endpoint, basic: btoa(`${formEncode(clientId)}:${formEncode(clientSecret)}`) }
}

function readEndpoint(url: string | URL, path: string): string {
  const base = URL.canParse(String(url)) ? new URL(url) : null
  requireOption(base !== null && /^https?:$/.test(base.protocol), 'url must be an http:// or https:// address')
  const { username, password, search, hash, href } = base
  requireOption(username + password + search + hash === '', 'url must have no user, password, query or fragment')
  requireOption(typeof path === 'string' && /^\/[^?#]*$/.test(path), 'path must begin with a slash and have no query')
  return new URL(`${href.replace(/(?<![/?#])\/*[?#]*$/, '')}${path}`).href
}

/** Requires a string that is not empty. Throws a TypeError that names the option. */
export function requireText(name: string, text: unknown): asserts text is string {
  requireOption(typeof text === 'string' && text !== '', `${name} must be a string that is not empty`)
}

/**
 * Requires a string that a token server can accept: well-formed and without control characters (RFC 6749 Appendix A).
 * It usually has one when it was read from a file that ends with a line break. Throws a TypeError that names the
 * option.
 */
export function requireLine(name: string, text: unknown): asserts text is string {
  requireText(name, text)
  requireOption(!/\p{Cc}/u.test(text), `${name} must not have control characters, such as a line break at its end`)
  requireOption(!/\p{Cs}/u.test(text), `${name} must be well-formed text`)
}

/** Requires a number of milliseconds that a timer accepts. Throws a TypeError that names the option. */
export function requireTimeout(name: string, ms: unknown): void {
  const isTimeout = Number.isInteger(ms) && Number(ms) >= 1 && Number(ms) <= longestTimerMs
  requireOption(isTimeout, `${name} must be a whole number from 1 to ${longestTimerMs}`)
}

/** The longest delay of a timer; Node fires a longer one at once. */
const longestTimerMs = 2 ** 31 - 1

/** Throws a TypeError that states the rule when an option breaks it. */
export function requireOption(isRight: boolean, rule: string): asserts isRight {
  if (!isRight) throw new TypeError(`${rule}.`)
}

/** Encodes a string as a form value. */
export function formEncode(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1)
}
