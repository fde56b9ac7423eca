import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { DateTime } from 'luxon'
import { readClientOptions, requireOption, requireText, requireTimeout } from '../client/client-options.ts'
import { elapsedMs } from '../elapsed-clock.ts'
import type { BearerToken, FindBearerToken, FoundBearerToken } from './bearer-token.ts'
import { refuseUnchecked } from './challenge.ts'

/** The token server that a backend asks, the backend's credentials, and the limits of the cache. */
export interface IntrospectionOptions {
  /** The token server's base URL: http or https, optionally with a path. The finder appends `/introspect`. */
  readonly url: string | URL
  /** The confidential client under which the backend is registered. */
  readonly clientId: string
  readonly clientSecret: string
  /**
   * Seconds for which a live token stays in the cache, and so the longest time that it may be accepted after its end. 0
   * asks every time. A dead token stays for one second at most. Default: 5.
   */
  readonly cacheSeconds?: number
  /**
   * Maximum number of live tokens in the cache; the least recently used go first. Dead tokens never evict a live one:
   * up to 1000 of them have a cache of their own. Default: 10000.
   */
  readonly cacheSize?: number
  /** Milliseconds to wait for an answer before reporting an outage. Default: 3000. */
  readonly timeoutMs?: number
}

/**
 * Creates a finder that asks a token server (RFC 7662). It caches each answer for a few seconds, shares one request
 * among concurrent calls for the same value, and reuses connections. A dead token always has the reason `inactive`. The
 * finder throws OAuthError `temporarily_unavailable` when it gets no answer: on a network error, on a timeout, or when
 * the server refuses this backend's credentials. Throws TypeError for invalid options.
 */
export function introspectAt(options: IntrospectionOptions): FindBearerToken {
  const { cacheSeconds = 5, cacheSize = 10_000 } = options
  const ask = createQuestion(options)
  const live = createMemory(cacheSize)
  const dead = createMemory(Math.min(cacheSize, maxDead)) // of its own, since any caller can fill it
  const underWay = new Map<string, { readonly asking: Promise<FoundBearerToken>; readonly began: number }>()

  async function askAndKeep(name: string, value: string): Promise<FoundBearerToken> {
    const began = elapsedMs()
    const { found, secondsLeft } = await ask(value)
    const seconds = Math.min(cacheSeconds, secondsLeft)
    // counted from before the request, so that no entry outlives the token
    const ttl = Math.floor(seconds * 1_000 - (elapsedMs() - began))
    if (ttl > 0) ('token' in found ? live : dead).set(name, found, { ttl })
    return found
  }

  return (value) => {
    const name = hash('sha256', value, 'base64') // the cache holds no token value
    const known = live.get(name) ?? dead.get(name)
    if (known) return Promise.resolve(known)
    const shared = underWay.get(name)
    // an answer may be as old as its request, and must not be older than cacheSeconds
    if (shared && elapsedMs() - shared.began < cacheSeconds * 1_000) return shared.asking
    const asking = askAndKeep(name, value).finally(() => {
      if (underWay.get(name)?.asking === asking) underWay.delete(name)
    })
    underWay.set(name, { asking, began: elapsedMs() })
    return asking
  }
}

const maxDead = 1_000

/** Creates a cache whose entries expire on time, even after the event loop stalls or the machine sleeps. */
function createMemory(max: number): LRUCache<string, FoundBearerToken> {
  return new LRUCache({ max, perf: { now: elapsedMs }, ttlResolution: 0 })
}

/** A result, and the seconds for which it can stay true. */
interface Answer {
  readonly found: FoundBearerToken
  readonly secondsLeft: number
}

const deadSeconds = 1

function createQuestion(options: IntrospectionOptions): (value: string) => Promise<Answer> {
  const { timeoutMs = 3_000 } = options
  requireOptions(options)
  const { endpoint, basic } = readClientOptions(options, '/introspect')
  const authorization = `Basic ${basic}`

  return (value) =>
    within(timeoutMs, async (signal) => {
      const response = await fetch(endpoint, {
        method: 'POST',
        headers: { authorization, accept: 'application/json' },
        body: new URLSearchParams({ token: value, token_type_hint: 'access_token' }),
        redirect: 'error',
        signal,
      }).catch((cause: unknown) => {
        throw refuseUnchecked('the token server cannot be reached', cause)
      })
      const text = await readText(response, signal).catch((cause: unknown) => {
        throw refuseUnchecked('the answer of the token server broke off', cause)
      })
      if (response.status === 401) throw refuseUnchecked('the token server refused the credentials of this backend')
      if (response.status !== 200) throw refuseUnchecked(`the token server answered ${response.status}`)
      return readAnswer(text, response.headers.get('date'))
    })
}

/** Uses its own timer: fetch may stop watching the signal once it has the response headers. */
async function within<T>(timeoutMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(refuseUnchecked('the token server took too long to answer'))
      controller.abort()
    }, timeoutMs)
  })
  return Promise.race([work(controller.signal), late]).finally(() => clearTimeout(timer))
}

const longestAnswer = 64 * 1024

/** Stops reading when the answer exceeds the limit or the caller has timed out. */
async function readText(response: Response, signal: AbortSignal): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (signal.aborted || text.length > longestAnswer) throw new Error('too slow or too long')
  }
  return text + decoder.decode()
}

function requireOptions({ clientSecret, cacheSeconds = 5, cacheSize = 1, timeoutMs = 1 }: IntrospectionOptions): void {
  requireText('clientSecret', clientSecret)
  requireOption(Number.isFinite(cacheSeconds) && cacheSeconds >= 0, 'cacheSeconds must be a number from 0')
  requireOption(Number.isInteger(cacheSize) && cacheSize >= 1, 'cacheSize must be a whole number from 1')
  requireTimeout('timeoutMs', timeoutMs)
}

/** RFC 7662 §2.2. Measures the token's remaining time by the server's clock (`Date`), not by this machine's. */
function readAnswer(text: string, date: string | null): Answer {
  const said = parseJson(text)
  if (said['active'] === false) return { found: { ended: 'inactive' }, secondsLeft: deadSeconds }
  const token = said['active'] === true ? readToken(said) : null
  if (token === null) throw refuseUnchecked('the answer of the token server could not be understood')
  const told = Date.parse(date ?? '') + 1_000 // `Date` has whole seconds: the server's clock may be that much ahead
  const now = Number.isNaN(told) ? Date.now() : told
  return { found: Object.freeze({ token }), secondsLeft: (token.expiresAt.toMillis() - now) / 1_000 }
}

function parseJson(text: string): Record<string, unknown> {
  try {
    const said: unknown = JSON.parse(text)
    return typeof said === 'object' && said !== null ? { ...said } : {}
  } catch {
    return {}
  }
}

/** Returns null for an answer without the fields that a guard promises. Frozen, since concurrent requests share it. */
function readToken(said: Record<string, unknown>): BearerToken | null {
  const { client_id: clientId, sub: userId, username: userName, role, iat, exp } = said
  const areTexts = [clientId, userId, userName, role].every((text) => typeof text === 'string')
  if (!areTexts || !Number.isFinite(iat) || !Number.isFinite(exp)) return null
  const issuedAt = DateTime.fromSeconds(iat as number, { zone: 'utc' })
  const expiresAt = DateTime.fromSeconds(exp as number, { zone: 'utc' })
  if (!issuedAt.isValid || !expiresAt.isValid) return null
  return Object.freeze({ clientId, userId, userName, role, issuedAt, expiresAt } as BearerToken)
}
