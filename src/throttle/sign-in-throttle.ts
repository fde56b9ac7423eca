import type { Query } from '../database/database.ts'
import { gatherRows, mostForFlood } from '../database/gather-rows.ts'
import { keyedHash } from '../secrets.ts'
import { createFailureCount, type GuessBuckets, refuseForNow, type WaitOptions } from './failure-count.ts'
import type { FindNetworkKey } from './network-key.ts'

/** The limits on failed sign-ins. */
export interface SignInThrottleOptions extends WaitOptions {
  /** Guesses at one user that are checked within the window, from all networks together that are unknown to the user. */
  readonly strangersLimit: number
  /** How many of these one source may spend: an IPv4 address, or an IPv6 /48. */
  readonly strangersSourceLimit: number
  /** The window in seconds, for the three limits on guesses. */
  readonly strangersSeconds: number
  /** After how many different names failed from one network within the window it may try only names known from there. */
  readonly networkNames: number
  /** How many days a network stays known to a user after a sign-in. */
  readonly knownNetworkDays: number
}

/** Limits guesses at users' passwords and at devices' signatures. */
export interface SignInThrottle {
  /**
   * Opens an attempt at a user from a network. `nameKey` is the folded name; the user need not exist. Throws OAuthError
   * `slow_down` while a wait runs that this process remembers, and `temporarily_unavailable` when the network key must be
   * read and the database is away. Asks the database for nothing else.
   */
  open(nameKey: string, network: string): Promise<SignInAttempt>
}

/** One attempt to sign in. Record its result before you answer. */
export interface SignInAttempt {
  /** Throws OAuthError `slow_down` while a wait runs that any server began, `temporarily_unavailable` in an outage. */
  check(): Promise<void>
  /** Counts the failure. Throws OAuthError `slow_down` when a wait began meanwhile: then the result stays untold. */
  recordFailure(): Promise<void>
  /**
   * Calls `issue`, whose statement also clears the failures and remembers the network, so that both happen or neither.
   * Throws OAuthError `slow_down` when a wait began meanwhile.
   */
  recordSuccess<T extends object>(issue: (clearance: Clearance | null) => Promise<T | Wait>): Promise<T>
}

/** A running wait, in seconds. */
export interface Wait {
  readonly waitSeconds: number
}

/** The values with which the statement that issues a token also settles the attempt. */
export interface Clearance
  extends Pick<SignInThrottleOptions, 'forgetSeconds' | 'knownNetworkDays' | 'strangersSeconds' | 'networkNames'> {
  /** The keyed hash of user and network. */
  readonly pair: string
  /** Keyed hashes under which a stranger's guesses are counted, and the limit of each. */
  readonly buckets: readonly string[]
  readonly limits: readonly number[]
  /** The keyed hash of the network, under which different names are counted; empty for an unreadable address. */
  readonly network: string
  /** How many networks stay known to the user; 0 remembers none. */
  readonly maxNetworks: number
}

/** A throttle that limits nothing, for tests and benchmarks. */
export const noSignInThrottle: SignInThrottle = {
  open: async () => ({
    check: async () => undefined,
    recordFailure: async () => undefined,
    recordSuccess: async (issue) => requireIssued(await issue(null)),
  }),
}

function requireIssued<T extends object>(issued: T | Wait): T {
  if ('waitSeconds' in issued) throw refuseForNow(issued.waitSeconds)
  return issued
}

/** Networks that stay known to one user; the newest ones. */
const maxNetworks = 100

/**
 * Counts failures by user and network together, so that failures elsewhere do not make the owner wait, and limits the
 * guesses of strangers. The database decides one guess after the other, so a burst over several servers gains nothing.
 */
export function createSignInThrottle(
  query: Query,
  findKey: FindNetworkKey,
  options: SignInThrottleOptions,
): SignInThrottle {
  const failures = createFailureCount(query, options)
  const findState = createStateFinder(query, options)
  const { forgetSeconds, knownNetworkDays, strangersSeconds, strangersLimit } = options
  const { strangersSourceLimit, networkNames } = options
  const limits = [strangersLimit, strangersSourceLimit]

  async function requireNoWait({ pair, strangers, source, names }: Keys): Promise<ThrottleState> {
    const state = await findState(`${pair} ${strangers} ${source} ${names}`)
    if (!state) throw new Error('find_throttle_state returned no row')
    failures.noteWait(pair, state.waitSeconds)
    failures.requireNoWait(pair)
    return state
  }

  function bucketsFor({ isKnown }: ThrottleState, { pair, strangers, source, names }: Keys): GuessBuckets {
    if (isKnown) return { all: { key: pair, limit: strangersLimit }, windowSeconds: strangersSeconds }
    return {
      source: { key: source, limit: strangersSourceLimit },
      all: { key: strangers, limit: strangersLimit },
      names: names === '' ? undefined : { key: names, limit: networkNames },
      windowSeconds: strangersSeconds,
    }
  }

  return {
    open: async (nameKey, network) => {
      const key = await findKey()
      const pair = keyedHash(key, `pair\n${nameKey}\n${network}`)
      failures.requireNoWait(pair)
      let hashed: Keys | null = null // most of a flood is refused before it needs them
      const hashKeys = (): Keys => {
        hashed ??= {
          pair,
          strangers: keyedHash(key, `user\n${nameKey}`),
          source: keyedHash(key, `source\n${nameKey}\n${sourceOf(network)}`),
          names: isUnreadable(network) ? '' : keyedHash(key, `network\n${network}`),
        }
        return hashed
      }
      let state: ThrottleState | null = null
      return {
        check: async () => {
          failures.requireNoWait(pair)
          state = await requireNoWait(hashKeys())
        },
        recordFailure: async () => {
          const keys = hashKeys()
          if (await failures.countFailure(pair, bucketsFor(state ?? (await requireNoWait(keys)), keys))) return
          await requireNoWait(keys)
          throw refuseForNow(1) // a guess left the window just now
        },
        recordSuccess: async (issue) => {
          await failures.settleFailures(pair)
          const keys = hashKeys()
          const issued = await issue({
            pair,
            buckets: [keys.strangers, keys.source],
            limits,
            network: keys.names,
            networkNames,
            forgetSeconds,
            knownNetworkDays,
            strangersSeconds,
            maxNetworks: isUnreadable(network) ? 0 : maxNetworks,
          })
          if ('waitSeconds' in issued) failures.noteWait(pair, issued.waitSeconds)
          return requireIssued(issued)
        },
      }
    },
  }
}

/** The keyed hashes of one attempt. */
interface Keys {
  readonly pair: string
  readonly strangers: string
  readonly source: string
  readonly names: string
}

/** The IPv4 address or IPv6 /48 of a network; each text that names no address is a source of its own. */
function sourceOf(network: string): string {
  return isUnreadable(network) ? network : network.split(':').slice(0, 3).join(':')
}

/**
 * Whether a proxy named no address. Several callers may share such a text, strangers and owner alike, so it never becomes a
 * known network and no name limit refuses it.
 */
function isUnreadable(network: string): boolean {
  return network.startsWith('?')
}

/** The throttle's state for a user and a network. */
interface ThrottleState {
  /** Whether the user signed in from there lately. */
  readonly isKnown: boolean
  /** 0 when no wait runs. */
  readonly waitSeconds: number
}

/** Finds the state for the keys of an attempt, joined by blanks; look-ups at the same time share a statement. */
function createStateFinder(
  query: Query,
  { forgetSeconds, knownNetworkDays, strangersSeconds, ...limits }: SignInThrottleOptions,
): (keys: string) => Promise<ThrottleState | undefined> {
  const { strangersLimit, strangersSourceLimit, networkNames } = limits
  return gatherRows(async (asked) => {
    const rows = await query<ThrottleState & { asked: string }>('find_throttle_state', stateText, [
      asked,
      [strangersLimit, strangersSourceLimit],
      networkNames,
      forgetSeconds,
      knownNetworkDays,
      strangersSeconds,
    ])
    return new Map(rows.map((row) => [row.asked, row]))
  }, mostForFlood)
}

const stateText = `
select asked, is_known as "isKnown", wait_seconds as "waitSeconds"
from unnest($1::text[]) asked
cross join string_to_array(asked, ' ') keys
cross join password_grant.find_throttle_state(keys[1], keys[2:3], $2, keys[4], $3, now(), $4, $5, $6)`
