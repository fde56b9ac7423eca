import pg from 'pg'
import { isOutage, OAuthError } from '../errors.ts'

/**
 * What lies under an outage, for the log, by the beginning of its SQLSTATE; the first that fits. Every class that is not
 * here stays what it is: 22 and 23 are answers to what was sent, 42601 and most others are faults of this program, and
 * XX is a broken PostgreSQL. Those become 500, so that a person looks.
 */
const conditions: readonly (readonly [sqlState: RegExp, condition: string])[] = [
  [/^25006/, 'read-only'],
  [/^53100/, 'full'], // its disk
  [/^53/, 'overloaded'], // out of memory, too many connections
  [/^40/, 'in conflict'], // deadlocks and serialization failures, retried in vain
  [/^0A000/, 'in conflict'], // a migration changed a type under a prepared statement, retried in vain
  [/^(55P03|57014)/, 'slow'], // a lock or a statement took too long
  // no such schema, table or function: an older schema than this code's; a missing column is a fault, and seen as one
  [/^(3F|42P01|42883)/, 'not migrated'],
  [/^42501/, 'without rights'], // the operator's grants decide that, never the request
  // 08 connection, 26 and 42P05 a pooler forgot our prepared statements or has others', 28 authorization, 3D no such
  // database, 25P03 and 25P04 a transaction took too long, 57 operator, 58 system
  [/^(08|25P0[34]|26|28|3D|42P05|57|58)/, 'away'],
]

/** 54000 has many meanings; from PostgreSQL's file for NOTIFY it means a full queue: a session listens and never reads. */
function isFullQueue({ code, file }: pg.DatabaseError): boolean {
  return code === '54000' && file === 'async.c'
}

/** What `pg` says, without a code, when its own patience ends. */
const unanswered = 'Query read timeout'
const impatience = /^(Query read timeout|timeout exceeded when trying to connect|timeout expired|.*connection timeout)$/

/** Tells an outage, which is never a verdict, from a fault of this program or a constraint that said no. */
export function toOutage(error: unknown): unknown {
  const condition = error instanceof OAuthError ? null : findCondition(error)
  return condition === null ? error : describeOutage(condition, error)
}

/** The same for what fails while connecting: there every error is an outage, since no statement has been judged. */
export function toConnectOutage(error: unknown): OAuthError {
  if (error instanceof OAuthError) return error
  return describeOutage(findCondition(error) ?? 'away', error)
}

function describeOutage(condition: string, error: unknown): OAuthError {
  return new OAuthError('temporarily_unavailable', unavailable, {
    reason: `database ${condition}: ${describe(error)}`,
    cause: error,
    retryAfterSeconds: 1,
  })
}

/** The refusal of a statement for want of room: too many wait already. */
export function refuseOverload(reason: string): OAuthError {
  return new OAuthError('temporarily_unavailable', unavailable, { reason, retryAfterSeconds: 1, isOverload: true })
}

const unavailable = 'The service cannot answer right now. Try again shortly.'

/** Whether the connection failed, so that other statements will fail alike; a statement that was slow says nothing. */
export function isAway(error: unknown): boolean {
  if (!isOutage(error) || error.isOverload) return false
  return /^($|08|53300|57P|58)/.test(sqlStateUnder(error))
}

/** Whether the database has undone everything because of another session, so that a retry makes sense. */
export function isConflict(error: unknown): boolean {
  return /^40(001|P01)/.test(sqlStateUnder(error))
}

/** Whether a prepared statement is older than a change of its table: a new connection prepares it anew. */
export function isStale(error: unknown): boolean {
  return sqlStateUnder(error) === '0A000'
}

/** Whether an answer never came, so that other connections may be as dead. */
export function isSilent(error: unknown): boolean {
  return isOutage(error) && error.cause instanceof Error && error.cause.message === unanswered
}

/** Whether the database reads but does not write: a standby, as after a failover. */
export function isReadOnly(error: unknown): boolean {
  return sqlStateUnder(error) === '25006'
}

/** Whether a lock was not to be had in time. */
export function isLockTimeout(error: unknown): boolean {
  return sqlStateUnder(error) === '55P03'
}

/**
 * Whether only a person can end an outage: wrong credentials, no such database, a missing right, a schema that is not
 * migrated. Waiting for it is pointless.
 */
export function needsPerson(error: unknown): boolean {
  return /^(28|3D|42501|3F|42P01|42883)/.test(sqlStateUnder(error))
}

/** The SQLSTATE under an outage; empty where PostgreSQL did not answer at all. */
export function sqlStateUnder(error: unknown): string {
  return isOutage(error) && error.cause instanceof pg.DatabaseError ? (error.cause.code ?? '') : ''
}

function findCondition(error: unknown): string | null {
  if (error instanceof pg.DatabaseError) {
    if (isFullQueue(error)) return 'full'
    return conditions.find(([sqlState]) => sqlState.test(error.code ?? ''))?.[1] ?? null
  }
  return error instanceof Error && impatience.test(error.message) ? 'slow' : 'away'
}

/** What a driver says of an outage; where it tried several addresses there is only a code. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.message || ('code' in error ? String(error.code) : error.name)
}
