import { type Repeatable, repeatable } from './repeatable.ts'
import type { TokenSource } from './token-source.ts'

/** Options of an authorized `fetch`. */
export interface AuthorizedFetchOptions {
  /** Sends the requests. Default: `globalThis.fetch`, looked up at each request. */
  readonly fetch?: typeof globalThis.fetch | undefined
}

/**
 * Creates a `fetch` that sends the source's token (RFC 6750 §2.1). After an `invalid_token` answer it reports the
 * refusal to the source and repeats the request once with the new token. It returns that 401 unchanged when the source
 * has no other token, and when the body is a stream, which can be sent only once. Rejects as `fetch` does, and with a
 * TokenSourceError when the source has no token for the first attempt.
 */
export function authorizedFetch(token: TokenSource, options: AuthorizedFetchOptions = {}): typeof globalThis.fetch {
  return async (input, init) => {
    const { fetch = globalThis.fetch } = options
    const request = repeatable(input, init)
    const value = await untilAborted(token, request.signal)
    const answer = await request.send(fetch, value)
    if (!refusesToken(answer)) return answer
    token.noteRefusal(value)
    const next = request.isOnce ? null : await nextValue(token, value, request)
    if (next === null) return answer
    await answer.body?.cancel().catch(() => undefined) // an unread answer would hold its connection
    const second = await request.send(fetch, next)
    if (refusesToken(second)) token.noteRefusal(next)
    return second
  }
}

/** Returns null when the source fails or still has the refused token. */
async function nextValue(token: TokenSource, refused: string, { signal }: Repeatable): Promise<string | null> {
  const next = await untilAborted(token, signal).catch(() => null)
  signal?.throwIfAborted()
  return next === refused ? null : next
}

/** Aborts only this caller's wait, not the sign-in: other callers share it. */
async function untilAborted(token: TokenSource, signal: AbortSignal | null): Promise<string> {
  if (signal === null) return token()
  signal.throwIfAborted()
  let abort = () => {}
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort)
  })
  return Promise.race([token(), aborted]).finally(() => signal.removeEventListener('abort', abort))
}

/** RFC 6750 §3.1: 401 with a Bearer challenge whose error is `invalid_token`. */
function refusesToken({ status, headers }: Response): boolean {
  if (status !== 401) return false
  let scheme = ''
  for (const part of splitChallenges(headers.get('www-authenticate') ?? '')) {
    const { name, rest } = readScheme(part)
    scheme = name ?? scheme
    const error = /^error\s*=\s*("?)(\w+)\1$/i.exec(rest)?.[2]
    if (scheme === 'bearer' && error === 'invalid_token') return true
  }
  return false
}

/**
 * Splits a header at its commas, except quoted ones: it lists challenges and their parameters alike (RFC 9110 §11.6.1).
 */
function splitChallenges(header: string): string[] {
  return (header.match(/(?:[^",]|"(?:[^"\\]|\\.)*")+/g) ?? []).map((part) => part.trim())
}

/** `Bearer realm="a"` begins a challenge; `error="b"` continues the previous one. */
function readScheme(part: string): { name: string | null; rest: string } {
  const [, name, rest] = /^([^\s=]+)(?:\s+([^\s=].*))?$/s.exec(part) ?? []
  return name === undefined ? { name: null, rest: part } : { name: name.toLowerCase(), rest: rest ?? '' }
}
