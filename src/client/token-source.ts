import { readOptions, type Settings, type TokenSourceOptions } from './read-options.ts'
import { type Outage, requestToken } from './request-token.ts'
import { TokenSourceError } from './token-source-error.ts'

export type { TokenSourceOptions } from './read-options.ts'
export { TokenSourceError } from './token-source-error.ts'

/** Returns the live token of one user, and signs in when there is none. */
export interface TokenSource {
  /**
   * Returns a live token. The first call signs in, and so does the first call shortly before the token expires.
   * Concurrent calls share one sign-in and its failure. Rejects with a {@link TokenSourceError}: with the server's
   * refusal, which the source caches for a minute; with `superseded`; or, within `timeoutMs`, with
   * `temporarily_unavailable`. After an outage the next request waits about a second, or the time that `Retry-After`
   * asks for.
   */
  (): Promise<string>

  /**
   * Reports that a server answered `invalid_token` (RFC 6750 §3.1) to `value`. Does nothing when the source has another
   * token by now. If the token has expired, the next call signs in. Otherwise another sign-in or an operator has ended
   * it: calls reject with `superseded` until its expiry, or with `takeOver` sign in again, at most once a minute.
   */
  noteRefusal(value: string): void
}

/**
 * Creates a source of one user's token. It signs in at the first call and runs nothing between calls. Throws a
 * TypeError for invalid options, which does not repeat their values.
 */
export function tokenSource(options: TokenSourceOptions): TokenSource {
  const source: Source = { ...nothingYet, settings: readOptions(options) }
  const token = async (): Promise<string> => {
    if (source.held !== null && !hasPassed(source.held.renewal)) return source.held.value
    source.underWay ??= renew(source).finally(() => {
      source.underWay = null
    })
    return source.underWay
  }
  return Object.assign(token, { noteRefusal: (value: string) => noteRefusal(source, value) })
}

/** The state of a source. Plain numbers are milliseconds of `performance.now`. */
interface Source {
  readonly settings: Settings
  held: Held | null
  /** The renewal in progress, waits included. */
  underWay: Promise<string> | null
  /** The cached refusal, thrown instead of asking again. */
  verdict: { readonly error: TokenSourceError; readonly until: number } | null
  /** The last outage, after which the source pauses. */
  pause: { readonly from: number; readonly outage: Outage } | null
  /** Set when the token was ended early: the source does not sign in before one of the two moments has passed. */
  end: { readonly expiry: Moment; readonly takeOver: number } | null
  /** Whether the next sign-in is a take-over, and when the one after it may happen. */
  isTakingOver: boolean
  nextTakeOver: number
}

interface Held {
  readonly value: string
  readonly renewal: Moment
  readonly expiry: Moment
  /** Whether a later sign-in by this source may have ended it. */
  isInDoubt: boolean
}

/** Both clocks, since the monotonic one stops while the machine sleeps and a correction moves the other. */
interface Moment {
  readonly wall: number
  readonly monotonic: number
}

const nothingYet = {
  held: null,
  underWay: null,
  verdict: null,
  pause: null,
  end: null,
  isTakingOver: false,
  nextTakeOver: 0,
}

const minuteMs = 60_000

function hasPassed(moment: Moment): boolean {
  return Date.now() >= moment.wall || performance.now() >= moment.monotonic
}

async function renew(source: Source): Promise<string> {
  const deadline = performance.now() + source.settings.timeoutMs
  for (;;) {
    throwRemembered(source)
    if (isPaused(source) && isLive(source.held)) return source.held.value
    while (isPaused(source)) await waitWithin(deadline, source)
    const outage = await signIn(source, deadline)
    if (typeof outage === 'string') return outage
    if (isLive(source.held)) return source.held.value
    if (outage.pauseMs === null) throw outage.error
  }
}

function throwRemembered({ verdict, end, settings }: Source): void {
  const now = performance.now()
  if (verdict !== null && now < verdict.until) throw verdict.error
  if (end === null || hasPassed(end.expiry) || now >= end.takeOver) return
  if (!settings.takeOver) throw new TokenSourceError('superseded', `${ended} ${ownUser}, or set takeOver.`)
  const retryAfterSeconds = Math.ceil((end.takeOver - now) / 1000)
  throw new TokenSourceError('superseded', `${ended} A take-over happens at most once a minute. ${ownUser}.`, {
    retryAfterSeconds,
  })
}

const ended = 'The token was ended before it expired, perhaps by another sign-in of the same user.'
const ownUser = 'Give each program a user of its own'

function isPaused(source: Source): boolean {
  return performance.now() < pauseEnd(source)
}

/** Pauses for the time that the server gave; else for one second, or five while the old token still works. */
function pauseEnd({ pause, held }: Source): number {
  if (pause === null) return 0
  return pause.from + (pause.outage.pauseMs ?? (isLive(held) ? 5000 : 1000))
}

function isLive(held: Held | null): held is Held {
  return held !== null && !hasPassed(held.expiry)
}

async function waitWithin(deadline: number, source: Source): Promise<void> {
  const end = pauseEnd(source)
  const waitMs = end - performance.now()
  if (end < deadline) return new Promise((resolve) => setTimeout(resolve, waitMs))
  const cause = source.pause?.outage.error
  const retryAfterSeconds = Math.ceil(waitMs / 1000)
  const message = `${cause?.message} The source waits ${retryAfterSeconds} s before it asks again.`
  throw new TokenSourceError('temporarily_unavailable', message, { status: cause?.status, retryAfterSeconds, cause })
}

/** Returns the new token value or the outage. Throws a refusal. */
async function signIn(source: Source, deadline: number): Promise<string | Outage> {
  const { held, settings } = source
  const wasInDoubt = held?.isInDoubt ?? false
  const sent = { wall: Date.now(), monotonic: performance.now() }
  if (held !== null) held.isInDoubt = true
  if (source.isTakingOver) source.nextTakeOver = sent.monotonic + minuteMs
  const answer = await requestToken(settings, deadline - sent.monotonic)
  if (answer.kind === 'token') return keep(source, answer, sent)
  if (answer.kind === 'verdict') throw rememberVerdict(source, answer.error)
  if (held !== null) held.isInDoubt = wasInDoubt || answer.mayHaveSignedIn
  source.pause = { from: performance.now(), outage: answer }
  return answer
}

/**
 * Keeps a token until a tenth of its lifetime is left, or a minute if that is shorter. Renews up to twice as early, at
 * random, so that programs do not all sign in at once.
 */
function keep(source: Source, token: { value: string; lifetimeMs: number }, sent: Moment): string {
  const { value, lifetimeMs } = token
  const marginMs = Math.min(minuteMs, lifetimeMs / 10) * (1 + Math.random())
  const held = { value, renewal: after(sent, lifetimeMs - marginMs), expiry: after(sent, lifetimeMs), isInDoubt: false }
  const { settings, underWay, nextTakeOver } = source
  Object.assign(source, { ...nothingYet, settings, underWay, nextTakeOver, held })
  return value
}

function after({ wall, monotonic }: Moment, ms: number): Moment {
  return { wall: wall + ms, monotonic: monotonic + ms }
}

function rememberVerdict(source: Source, error: TokenSourceError): TokenSourceError {
  source.verdict = { error, until: performance.now() + minuteMs }
  return error
}

function noteRefusal(source: Source, value: string): void {
  const { held, settings } = source
  if (held?.value !== value) return
  source.held = null
  if (hasPassed(held.expiry) || held.isInDoubt) return
  source.isTakingOver = settings.takeOver
  source.end = { expiry: held.expiry, takeOver: settings.takeOver ? source.nextTakeOver : Number.POSITIVE_INFINITY }
}
