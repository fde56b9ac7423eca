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
  /** Forgets the failures before and remembers the network. Throws OAuthError `slow_down` likewise. */
  succeed(userId: string): Promise<void>
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
  admit: async () => ({ begin: async () => ({ fail: async () => undefined, succeed: async () => undefined }) }),
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
  const { strangersLimit, strangersSeconds } = options

  async function requireLookedAt(pair: string, user: string): Promise<Standing> {
    const standing = await findStanding(`${pair} ${user}`)
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

  async function beginAttempt(pair: string, user: string): Promise<Attempt> {
    const { isKnown } = await requireLookedAt(pair, user)
    return {
      fail: async () => {
        await failures.countFailure(pair)
        if (await countGuess(query, isKnown ? pair : user, strangersLimit, strangersSeconds)) return
        await requireLookedAt(pair, user)
        throw refuseForNow(1) // there is room again just now
      },
      succeed: async (userId) => {
        await failures.settleFailures(pair)
        const { hasFailed, isFresh } = await requireLookedAt(pair, user)
        if (hasFailed) await failures.forgetFailures(pair)
        if (!isFresh) await rememberNetwork(query, pair, userId)
      },
    }
  }
}

/** How an attempt at a user from a network stands. */
interface Standing {
  readonly hasFailed: boolean
  /** The user signed in from there lately. */
  readonly isKnown: boolean
  /** So lately that it need not be written again. */
  readonly isFresh: boolean
  /** 0: no wait runs. */
  readonly waitSeconds: number
}

/**
 * Finds how attempts stand, by the keys of pair and user with a blank between; those asked for at the same time share a
 * statement. A network the user is known from has an allowance of guesses of its own, so that both kinds cost the same.
 */
function createStandingFinder(
  query: Query,
  { forgetSeconds, knownNetworkDays, strangersSeconds, strangersLimit }: PasswordThrottleOptions,
): (keys: string) => Promise<Standing | undefined> {
  return gatherRows(async (asked) => {
    const values = [asked, forgetSeconds, knownNetworkDays, strangersSeconds, strangersLimit - 1]
    const rows = await query<Standing & { asked: string }>('find_standing', standingText, values)
    return new Map(rows.map((row) => [row.asked, row]))
  }, mostForFlood)
}

const standingText = `
select
  n.asked,
  f.key is not null as "hasFailed",
  n.is_known as "isKnown",
  n.is_known and n.signed_in_at > now() - interval '1 hour' as "isFresh",
  greatest(
    0,
    extract(epoch from f.wait_until - now()),
    (
      select extract(epoch from at + make_interval(secs => $4) - now())
      from password_grant.guesses g
      cross join unnest(g.guessed_at) at
      where g.key = case when n.is_known then n.pair else split_part(n.asked, ' ', 2) end
      order by at desc
      offset $5
      limit 1
    )
  )::float8 as "waitSeconds"
from (
  select asked, pair, signed_in_at, coalesce(signed_in_at > now() - make_interval(days => $3), false) as is_known
  from unnest($1::text[]) asked
  cross join split_part(asked, ' ', 1) pair
  left join password_grant.known_networks on key = pair
) n
left join password_grant.failures f
  on f.key = n.pair and (f.failed_at > now() - make_interval(secs => $2) or f.wait_until > now())`

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

async function rememberNetwork(query: Query, pair: string, userId: string): Promise<void> {
  await query(
    'remember_network',
    `insert into password_grant.known_networks (key, user_id, signed_in_at)
    select $1, id, now() from password_grant.users where id = $2 for key share
    on conflict (key) do update set user_id = excluded.user_id, signed_in_at = excluded.signed_in_at
    where known_networks.user_id <> excluded.user_id
      or known_networks.signed_in_at < excluded.signed_in_at - interval '1 hour'`,
    [pair, userId],
  )
}
