import type { Query } from '../database/database.ts'
import type { Attempt } from './attempt.ts'
import { nameParameters } from './name-parameters.ts'
import type { ThrottleOptions } from './throttle-options.ts'

/** What the throttle has about an attempt. */
export interface AttemptState {
  /** Seconds until the next attempt is looked at; 0 when no wait runs. */
  readonly waitSeconds: number
  /** Whether the user signed in from the network lately. */
  readonly isKnown: boolean
  /** Whether there are failures to clear. */
  readonly hasFailed: boolean
  /** Whether a success changes anything: there are failures to clear, or a network to remember. */
  readonly hasNews: boolean
}

/** The state of an attempt that nothing is known against. */
export const allClear: AttemptState = { waitSeconds: 0, isKnown: true, hasFailed: false, hasNews: false }

const hourSeconds = 3_600
const daySeconds = 86_400

/** Finds the states of attempts in one statement, in their order. */
export async function findAttemptStates(
  query: Query,
  attempts: readonly Attempt[],
  options: ThrottleOptions,
): Promise<AttemptState[]> {
  const { strangersLimit: userLimit, strangersSourceLimit: sourceLimit, networkNames: namesLimit } = options
  const values = order({
    subjectsAndNetworks: attempts.map(({ subjectAndNetwork }) => subjectAndNetwork),
    users: attempts.map(({ user }) => user),
    usersAndSources: attempts.map(({ userAndSource }) => userAndSource),
    networks: attempts.map(({ network }) => network),
    userLimit,
    sourceLimit,
    namesLimit,
  })
  const counts = await query<Counts>('find_attempts', findText, values)
  return attempts.map((attempt, place) => {
    const found = counts[place]
    if (!found) throw new Error('find_attempts returned too few rows')
    return judgeAttempt(attempt, found, options)
  })
}

/** The tables' rows under the keys of an attempt. Ages are in seconds; null means that there is no such row. */
interface Counts {
  readonly failureAge: number | null
  readonly waitSeconds: number
  /** Of the latest sign-in from the network. */
  readonly signInAge: number | null
  /** Of the oldest guess that must leave the window before the next; null while there is room. */
  readonly ownAge: number | null
  readonly userAge: number | null
  readonly sourceAge: number | null
  readonly networkAge: number | null
}

function judgeAttempt({ network }: Attempt, counts: Counts, options: ThrottleOptions): AttemptState {
  const { failureAge, waitSeconds, signInAge, ownAge, userAge, sourceAge, networkAge } = counts
  const { forgetSeconds, strangersSeconds, knownNetworkDays } = options
  const isKnown = signInAge !== null && signInAge < knownNetworkDays * daySeconds
  const isFresh = signInAge !== null && signInAge < hourSeconds
  const hasFailed = failureAge !== null && (failureAge < forgetSeconds || waitSeconds > 0)
  const fullAges = isKnown ? [ownAge] : [userAge, sourceAge, networkAge]
  const waits = fullAges.map((age) => (age === null ? 0 : strangersSeconds - age))
  return {
    waitSeconds: Math.max(0, waitSeconds, ...waits),
    isKnown,
    hasFailed,
    hasNews: hasFailed || (network !== '' && !isFresh),
  }
}

const { places, order } = nameParameters([
  'subjectsAndNetworks',
  'users',
  'usersAndSources',
  'networks',
  'userLimit',
  'sourceLimit',
  'namesLimit',
])

/** The age of the entry that must leave a list of times before the next one fits under a limit. */
const ageOfFull = (times: string, limit: string) =>
  `select extract(epoch from clock_timestamp() - ${times}[cardinality(${times}) - ${limit}::integer + 1])::float8`

// In sub-selects, the arrays are the same to the planner in each execution: it plans the statement once for all.
const findText = `
select
  (
    select extract(epoch from clock_timestamp() - failed_at)::float8
    from password_grant.failures where key = asked.subject_and_network
  ) as "failureAge",
  coalesce((
    select greatest(0, extract(epoch from wait_until - clock_timestamp()))::float8
    from password_grant.failures where key = asked.subject_and_network
  ), 0) as "waitSeconds",
  (
    select extract(epoch from clock_timestamp() - signed_in_at)::float8
    from password_grant.known_networks where key = asked.subject_and_network
  ) as "signInAge",
  (
    ${ageOfFull('guessed_at', places.userLimit)} from password_grant.guesses where key = asked.subject_and_network
  ) as "ownAge",
  (${ageOfFull('guessed_at', places.userLimit)} from password_grant.guesses where key = asked."user") as "userAge",
  (
    ${ageOfFull('guessed_at', places.sourceLimit)} from password_grant.guesses where key = asked.user_and_source
  ) as "sourceAge",
  (
    ${ageOfFull('failed_at', places.namesLimit)} from password_grant.network_names where key = asked.network
  ) as "networkAge"
from unnest(
  (select ${places.subjectsAndNetworks}::text[]), (select ${places.users}::text[]),
  (select ${places.usersAndSources}::text[]), (select ${places.networks}::text[])
) with ordinality as asked (subject_and_network, "user", user_and_source, network, place)
order by place`
