/** Where a token server is, and the client that a program is registered as there. */
export interface ClientOptions {
  readonly url: string | URL
  readonly clientId: string
  readonly clientSecret?: string | undefined
}

/** The same, in the form in which a request needs it. */
export interface ClientSettings {
  /** The address of the endpoint. */
  readonly endpoint: string
  /** The credentials for `Authorization: Basic`, null for a public client. */
  readonly basic: string | null
}

/**
 * Reads the options that every entry for other people's programs takes, for an endpoint at `path` below `url`. Surrounding
 * white space and slashes at the end of `url` change nothing. Throws a TypeError that names the wrong option and repeats
 * nothing of its value.
 */
export function readClientOptions({ url, clientId, clientSecret }: ClientOptions, path: string): ClientSettings {
  const endpoint = readEndpoint(url, path)
  requireLine('clientId', clientId)
  if (clientSecret === undefined) return { endpoint, basic: null }
  requireLine('clientSecret', clientSecret)
  // RFC 6749 §2.3.1: each half is form-encoded before they are joined
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

/** Requires a text that is not empty. Throws a TypeError that names the option. */
export function requireText(name: string, text: unknown): asserts text is string {
  requireOption(typeof text === 'string' && text !== '', `${name} must be a string that is not empty`)
}

/**
 * Requires a text that a token server can know: well-formed and without control characters (RFC 6749 Appendix A), of which
 * the line break at the end of a file is the usual one. Throws a TypeError that names the option.
 */
export function requireLine(name: string, text: unknown): asserts text is string {
  requireText(name, text)
  requireOption(!/\p{Cc}/u.test(text), `${name} must not have control characters, such as a line break at its end`)
  requireOption(!/\p{Cs}/u.test(text), `${name} must be well-formed text`)
}

/** Requires milliseconds that a timer can count. Throws a TypeError that names the option. */
export function requireTimeout(name: string, ms: unknown): void {
  const isTimeout = Number.isInteger(ms) && Number(ms) >= 1 && Number(ms) <= longestTimerMs
  requireOption(isTimeout, `${name} must be a whole number from 1 to ${longestTimerMs}`)
}

/** The longest a timer takes; a longer one would end at once. */
const longestTimerMs = 2 ** 31 - 1

/** Throws a TypeError that says the rule, for an option that breaks it. */
export function requireOption(isRight: boolean, rule: string): asserts isRight {
  if (!isRight) throw new TypeError(`${rule}.`)
}

/** Encodes a text as a value of a form. */
export function formEncode(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1)
}
