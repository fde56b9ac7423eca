import pg from 'pg'
import { isOutage, OAuthError } from '../errors.ts'

/** What lies under an outage, for the log, by the beginning of its SQLSTATE; the first that fits. */
const conditions: readonly (readonly [sqlState: RegExp, condition: string])[] = [
  [/^25006/, 'read-only'],
  [/^53100/, 'full'], // its disk
  [/^53/, 'overloaded'], // out of memory, too many connections
  [/^40/, 'in conflict'], // deadlocks and serialization failures, tried again in vain
  [/^(55P03|57014)/, 'slow'], // a lock or a statement took too long
  // 08 connection, 28 authorization, 3D no such database, 57 operator, 58 system, 25P03 and 25P04 a transaction took
  // too long, 26 a pooler forgot our statements, 3F, 42P01 and 42883 not migrated
  [/^(08|25P0[34]|26|28|3D|3F|42P01|42883|57|58)/, 'away'],
]

/** What `pg` says, without a code, when its own patience ends. */
const unanswered = 'Query read timeout'
const impatience = /^(Query read timeout|timeout exceeded when trying to connect|timeout expired|.*connection timeout)$/

/** Tells an outage, which is never a verdict, from a mistake of ours or a constraint that said no. */
export function toOutage(error: unknown): unknown {
  const condition = error instanceof OAuthError ? null : findCondition(error)
  if (condition === null) return error
  return new OAuthError('temporarily_unavailable', 'The service cannot answer right now. Try again shortly.', {
    reason: `database ${condition}: ${describe(error)}`,
    cause: error,
    retryAfterSeconds: 1,
  })
}

/** Whether the database has undone everything because of another session, so that it may be tried again. */
export function isConflict(error: unknown): boolean {
  return /^40(001|P01)/.test(sqlStateUnder(error))
}

/** Whether an answer never came, so that other connections may be as dead. */
export function isSilent(error: unknown): boolean {
  return isOutage(error) && error.cause instanceof Error && error.cause.message === unanswered
}

/** Whether the database reads but does not write: a standby, as after a failover. */
export function isReadOnly(error: unknown): boolean {
  return sqlStateUnder(error) === '25006'
}

function sqlStateUnder(error: unknown): string {
  return isOutage(error) && error.cause instanceof pg.DatabaseError ? (error.cause.code ?? '') : ''
}

function findCondition(error: unknown): string | null {
  if (error instanceof pg.DatabaseError) {
    return conditions.find(([sqlState]) => sqlState.test(error.code ?? ''))?.[1] ?? null
  }
  return error instanceof Error && impatience.test(error.message) ? 'slow' : 'away'
}

/** What a driver says of an outage; where it tried several addresses there is only a code. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.message || ('code' in error ? String(error.code) : error.name)
}
