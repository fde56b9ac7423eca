import { readOptions, type Settings, type TokenSourceOptions } from './read-options.ts'
import { type Outage, requestToken } from './request-token.ts'
import { TokenSourceError } from './token-source-error.ts'

export type { TokenSourceOptions } from './read-options.ts'
export { TokenSourceError } from './token-source-error.ts'

/** Gives the live token of one user, signing in when there is none. */
export interface TokenSource {
  /**
   * A live token. The first call signs in, and so does the first one shortly before the token expires; calls at the
   * same time share one sign-in and its failure. Rejects with a {@link TokenSourceError}: with the server's refusal,
   * which is remembered for a minute; with `temporarily_unavailable` within `timeoutMs`, after which the next call
   * lets about a second pass, or what `Retry-After` said, before it asks again; or with `superseded`.
   */
  (): Promise<string>

  /**
   * Says that a server answered `invalid_token` (RFC 6750 §3.1) to `value`. When the source has another token by now,
   * nothing happens. After the expiry the next call signs in. Before it somebody else ended the token: calls reject
   * with `superseded` until it would have expired, or with `takeOver` sign in again, at most once a minute.
   */
  noteRefusal(value: string): void
}

/**
 * A source of one user's token, which signs in when it is first called and keeps nothing running in between. Throws a
 * TypeError that repeats no value for options that cannot be right.
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

/** All that a source remembers; moments without a wall clock are those of `performance.now`. */
interface Source {
  readonly settings: Settings
  held: Held | null
  /** The one renewal under way, its waits included. */
  underWay: Promise<string> | null
  /** The refusal that is repeated instead of asking again. */
  verdict: { readonly error: TokenSourceError; readonly until: number } | null
  /** The outage after which the server is left alone for a while. */
  pause: { readonly from: number; readonly outage: Outage } | null
  /** The token was ended by somebody else: nobody signs in before one of the two has passed. */
  end: { readonly expiry: Moment; readonly takeOver: number } | null
  /** Whether the next sign-in is a take-over, and from when on there may be another. */
  isTakingOver: boolean
  nextTakeOver: number
}

interface Held {
  readonly value: string
  readonly renewal: Moment
  readonly expiry: Moment
  /** A later sign-in of our own may have ended it. */
  isInDoubt: boolean
}

/** On both clocks: a sleeping machine stops one, a correction moves the other. */
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
  throw new TokenSourceError('superseded', `${ended} It is taken over at most once a minute. ${ownUser}.`, {
    retryAfterSeconds,
  })
}

const ended = 'The token was ended before it expired, perhaps by another sign-in of the same user.'
const ownUser = 'Give each program a user of its own'

function isPaused(source: Source): boolean {
  return performance.now() < pauseEnd(source)
}

/** A second after an outage of which nobody said how long it takes; a few while there still is a live token. */
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
  const message = `${cause?.message} It is not asked again for ${retryAfterSeconds} s.`
  throw new TokenSourceError('temporarily_unavailable', message, { status: cause?.status, retryAfterSeconds, cause })
}

/** Returns the new value or the outage; throws a verdict. */
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

/** Renews a tenth of the lifetime before its end, a minute at most, and up to twice that lest all renew at once. */
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
