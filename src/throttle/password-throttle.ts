import type { Query } from '../database/database.ts'
import { gatherRows, mostForFlood } from '../database/gather-rows.ts'
import { keyedHash } from '../secrets.ts'
import { createFailureCount, refuseForNow, type WaitOptions } from './failure-count.ts'
import type { FindNetworkKey } from './network-key.ts'

/** How guesses at passwords are slowed down. */
export interface PasswordThrottleOptions extends WaitOptions {
  /** Guesses at one user that are looked at in the time below, from all networks together that the user is not known from. */
  readonly strangersLimit: number
  readonly strangersSeconds: number
  /** How long after a right password its network is no stranger's. */
  readonly knownNetworkDays: number
}

/** An attempt at a password that no wait stands against of which this process has heard. */
export interface Arrival {
  /**
   * Asks the database whether it may be looked at. Throws OAuthError `slow_down` while a wait runs, whatever server began
   * it, `temporarily_unavailable` when the database is away.
   */
  begin(): Promise<Attempt>
}

/** An attempt that may be looked at; of the two, exactly one is called before anybody is told. */
export interface Attempt {
  /** Counts the failure. Throws OAuthError `slow_down` when meanwhile a wait began: then nobody is told what it was. */
  fail(): Promise<void>
  /**
   * Lets `take` take the seat, and in the same statement settle the guess: the failures before are forgotten and the
   * network is remembered. Where no seat is taken, nothing is settled. Throws OAuthError `slow_down` when meanwhile a wait
   * began, of which this process has heard or which `take` says is running.
   */
  succeed<T extends object>(take: (guess: RightGuess | null) => Promise<T | Wait>): Promise<T>
}

/** How long a wait still runs. */
export interface Wait {
  readonly waitSeconds: number
}

/** What the statement that takes a seat settles a right password with. */
export interface RightGuess
  extends Pick<PasswordThrottleOptions, 'forgetSeconds' | 'knownNetworkDays' | 'strangersSeconds' | 'strangersLimit'> {
  /** The keyed hash of user and network. */
  readonly pair: string
  /** The keyed hash of the user alone, under which the guesses of strangers are counted. */
  readonly stranger: string
}

/** Decides whose attempts are looked at. */
export interface PasswordThrottle {
  /**
   * An attempt at a user, by the key of the name, whether there is one or not. Throws OAuthError `slow_down` while a wait
   * runs of which this process has heard, `temporarily_unavailable` when the key of networks is still to be read and the
   * database is away: nothing else is asked for.
   */
  admit(nameKey: string, network: string): Promise<Arrival>
}

/** Lets everyone try as often as they like: for tests and benchmarks. */
export const noPasswordThrottle: PasswordThrottle = {
  admit: async () => ({
    begin: async () => ({ fail: async () => undefined, succeed: async (take) => requireSeat(await take(null)) }),
  }),
}

function requireSeat<T extends object>(taken: T | Wait): T {
  if ('waitSeconds' in taken) throw refuseForNow(taken.waitSeconds)
  return taken
}

/**
 * Counts failed attempts by user and network together, so that nobody can make the owner wait who is elsewhere, and the
 * guesses of all strangers together. A guess counts as looked at when its verdict is told, and that is decided by the
 * database, one after the other: so many sent at once, to whatever servers, gain nothing.
 */
export function createPasswordThrottle(
  query: Query,
  findKey: FindNetworkKey,
  options: PasswordThrottleOptions,
): PasswordThrottle {
  const failures = createFailureCount(query, options)
  const findStanding = createStandingFinder(query, options)
  const { forgetSeconds, knownNetworkDays, strangersSeconds, strangersLimit } = options

  async function requireLookedAt(pair: string, stranger: string): Promise<Standing> {
    const standing = await findStanding(`${pair} ${stranger}`)
    if (!standing) throw new Error('find_standing has a row for whatever is asked')
    failures.noteWait(pair, standing.waitSeconds)
    failures.requireNoWait(pair)
    return standing
  }

  return {
    admit: async (nameKey, network) => {
      const key = await findKey()
      const pair = keyedHash(key, `pair\n${nameKey}\n${network}`)
      failures.requireNoWait(pair)
      return { begin: () => beginAttempt(pair, keyedHash(key, `user\n${nameKey}`)) }
    },
  }

  async function beginAttempt(pair: string, stranger: string): Promise<Attempt> {
    const { isKnown } = await requireLookedAt(pair, stranger)
    return {
      fail: async () => {
        await failures.countFailure(pair)
        if (await countGuess(query, isKnown ? pair : stranger, strangersLimit, strangersSeconds)) return
        await requireLookedAt(pair, stranger)
        throw refuseForNow(1) // there is room again just now
      },
      succeed: async (take) => {
        await failures.settleFailures(pair)
        const taken = await take({ pair, stranger, forgetSeconds, knownNetworkDays, strangersSeconds, strangersLimit })
        if ('waitSeconds' in taken) failures.noteWait(pair, taken.waitSeconds)
        return requireSeat(taken)
      },
    }
  }
}

/** How an attempt at a user from a network stands. */
interface Standing {
  /** The user signed in from there lately. */
  readonly isKnown: boolean
  /** 0: no wait runs. */
  readonly waitSeconds: number
}

/**
 * Finds how attempts stand, by the keys of pair and stranger with a blank between; those asked for at the same time share
 * a statement.
 */
function createStandingFinder(
  query: Query,
  { forgetSeconds, knownNetworkDays, strangersSeconds, strangersLimit }: PasswordThrottleOptions,
): (keys: string) => Promise<Standing | undefined> {
  return gatherRows(async (asked) => {
    const rows = await query<Standing & { asked: string }>(
      'find_standing',
      `select asked, is_known as "isKnown", wait_seconds as "waitSeconds"
      from unnest($1::text[]) asked
      cross join password_grant.find_standing(split_part(asked, ' ', 1), split_part(asked, ' ', 2), now(), $2, $3, $4, $5)`,
      [asked, forgetSeconds, knownNetworkDays, strangersSeconds, strangersLimit],
    )
    return new Map(rows.map((row) => [row.asked, row]))
  }, mostForFlood)
}

/** Counts a guess, if there is room for one more in the time before now. */
async function countGuess(query: Query, key: string, limit: number, seconds: number): Promise<boolean> {
  const counted = await query('count_guess', guessText, [key, seconds, limit])
  return counted.length > 0
}

const guessText = `
insert into password_grant.guesses as g (key, guessed_at)
values ($1, array[clock_timestamp()])
on conflict (key) do update
set guessed_at = array(
  select at from unnest(g.guessed_at) at where at > clock_timestamp() - make_interval(secs => $2) order by at
) || clock_timestamp()
where (select count(*) from unnest(g.guessed_at) at where at > clock_timestamp() - make_interval(secs => $2)) < $3
returning key`
