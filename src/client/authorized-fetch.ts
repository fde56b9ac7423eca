import { type Repeatable, repeatable } from './repeatable.ts'
import type { TokenSource } from './token-source.ts'

/** How an authorized `fetch` sends. */
export interface AuthorizedFetchOptions {
  /** What sends the requests: `globalThis.fetch`, as it is at each request, unless given. */
  readonly fetch?: typeof globalThis.fetch | undefined
}

/**
 * A `fetch` that sends the source's token (RFC 6750 §2.1). An `invalid_token` answer is told to the source, and the
 * request is repeated once when there is another token; else that 401 is returned as it came. A body given as a stream
 * is sent once and never repeated. Rejects as `fetch` does, and with a TokenSourceError when there is no token at all.
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
    await answer.body?.cancel().catch(() => undefined) // an unread answer keeps its connection
    const second = await request.send(fetch, next)
    if (refusesToken(second)) token.noteRefusal(next)
    return second
  }
}

/** Null when the source has no other one, for whatever reason. */
async function nextValue(token: TokenSource, refused: string, { signal }: Repeatable): Promise<string | null> {
  const next = await untilAborted(token, signal).catch(() => null)
  signal?.throwIfAborted()
  return next === refused ? null : next
}

/** The token is shared with others, so an abort ends the waiting for it and not the sign-in. */
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

/** Several challenges and their parameters are one comma list (RFC 9110 §11.6.1), in which quoted commas do not count. */
function splitChallenges(header: string): string[] {
  return (header.match(/(?:[^",]|"(?:[^"\\]|\\.)*")+/g) ?? []).map((part) => part.trim())
}

/** `Bearer realm="a"` begins a challenge, `error="b"` belongs to the one before. */
function readScheme(part: string): { name: string | null; rest: string } {
  const [, name, rest] = /^([^\s=]+)(?:\s+([^\s=].*))?$/s.exec(part) ?? []
  return name === undefined ? { name: null, rest: part } : { name: name.toLowerCase(), rest: rest ?? '' }
}
