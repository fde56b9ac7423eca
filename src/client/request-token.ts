import type { Settings } from './read-options.ts'
import { readRetryAfter } from './read-retry-after.ts'
import { TokenSourceError } from './token-source-error.ts'

/** The result of one sign-in. */
export type Answer =
  | { readonly kind: 'token'; readonly value: string; readonly lifetimeMs: number }
  | { readonly kind: 'verdict'; readonly error: TokenSourceError }
  | Outage

/** A sign-in that failed without a verdict on the credentials. */
export interface Outage {
  readonly kind: 'outage'
  readonly error: TokenSourceError
  /** How long the source must wait before its next request; null when the server gave no time. */
  readonly pauseMs: number | null
  /** Whether the server may have signed the user in, and so ended the previous token, although no answer came. */
  readonly mayHaveSignedIn: boolean
}

/** Signs in once, within `budgetMs` (RFC 6749 §4.3.2). Never throws: every failure is an answer. */
export async function requestToken(settings: Settings, budgetMs: number): Promise<Answer> {
  const { fetch = globalThis.fetch, endpoint, headers, body } = settings
  try {
    return await within(budgetMs, async (signal) => {
      const response = await fetch(endpoint, { method: 'POST', headers, body, redirect: 'error', signal })
      return readAnswer(response, settings)
    })
  } catch (thrown) {
    if (thrown === tooLate) return outage('The token server took too long to answer.')
    const cause = new Error(withoutSecrets(describe(thrown), settings))
    return outage(`The token server cannot be reached: ${cause.message}`, { cause })
  }
}

const tooLate = Symbol('too late')

/** Keeps to the budget even when `fetch` ignores its signal. */
async function within<T>(budgetMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(tooLate)
      controller.abort()
    }, budgetMs)
  })
  return Promise.race([work(controller.signal), late]).finally(() => clearTimeout(timer))
}

async function readAnswer(response: Response, settings: Settings): Promise<Answer> {
  const { status } = response
  if (status >= 500 || status === 408 || status === 429) return readOutage(response)
  const body = parse(await readText(response))
  if (response.ok) return readToken(body) ?? outage('The token server sent no usable token.', { status })
  return readVerdict(body, response, settings)
}

/** Counts 408 and 429 as outages: the server did not check the credentials. */
function readOutage(response: Response): Outage {
  const { status } = response
  response.body?.cancel().catch(() => undefined) // an unread body would hold its connection
  const retryAfterSeconds = readRetryAfter(response.headers) ?? undefined
  const error = unavailable(`The token server is not available: it answered ${status}.`, { status, retryAfterSeconds })
  const pauseMs = retryAfterSeconds === undefined ? null : retryAfterSeconds * 1000
  return { kind: 'outage', error, pauseMs, mayHaveSignedIn: status >= 500 && status !== 503 }
}

const longestAnswer = 64 * 1024

/** Returns null for a body that breaks off or exceeds the limit. */
async function readText(response: Response): Promise<string | null> {
  const decoder = new TextDecoder()
  let text = ''
  try {
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true })
      if (text.length > longestAnswer) return null
    }
    return text + decoder.decode()
  } catch {
    return null
  }
}

/** Returns no fields for anything but a JSON object. Drops the parser's error, since it quotes the text. */
function parse(text: string | null): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(text ?? ''))
  } catch {
    return {}
  }
}

/**
 * Reads an answer of RFC 6749 §5.1; null for one that breaks its rules. Appendix A.12 lists the characters of a token.
 */
function readToken(body: Readonly<Record<string, unknown>>): Answer | null {
  const { access_token: value, token_type: type, expires_in: seconds } = body
  if (typeof value !== 'string' || !/^[\x21-\x7E]+$/.test(value)) return null
  if (typeof type !== 'string' || type.toLowerCase() !== 'bearer') return null
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || seconds <= 0) return null
  return { kind: 'token', value, lifetimeMs: seconds * 1000 }
}

/** Reads a refusal of RFC 6749 §5.2. An answer without an error code does not come from a token endpoint. */
function readVerdict(body: Readonly<Record<string, unknown>>, { status }: Response, settings: Settings): Answer {
  const { error: code, error_description: description } = body
  if (typeof code !== 'string' || code === '') {
    const message = `The answer, ${status}, does not come from a token endpoint. Check the url.`
    const error = unavailable(message, { status })
    return { kind: 'outage', error, pauseMs: 60_000, mayHaveSignedIn: false }
  }
  const said = typeof description === 'string' ? `${code}. ${description}` : code
  const message = `The token server refused the sign-in: ${withoutSecrets(said, settings)}`
  return { kind: 'verdict', error: new TokenSourceError(withoutSecrets(code, settings), message, { status }) }
}

function outage(message: string, details: { status?: number; cause?: Error } = {}): Outage {
  return { kind: 'outage', error: unavailable(message, details), pauseMs: null, mayHaveSignedIn: true }
}

function unavailable(message: string, details: ConstructorParameters<typeof TokenSourceError>[2]): TokenSourceError {
  return new TokenSourceError('temporarily_unavailable', message, details)
}

/**
 * Describes the innermost cause, where fetch says what happened. Uses only its text: the error may hold the request.
 */
function describe(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'unknown cause'
  if (thrown.cause instanceof Error && thrown.cause !== thrown) return describe(thrown.cause)
  return thrown.message || ('code' in thrown ? String(thrown.code) : thrown.name)
}

/** Cleans foreign text for a message: removes every encoding of a secret and line breaks, and limits the length. */
function withoutSecrets(text: string, { secrets }: Settings): string {
  const clean = secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), text)
  return clean.replace(/\p{Cc}+/gu, ' ').slice(0, 300)
}
