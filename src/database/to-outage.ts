import pg from 'pg'
import { isOutage, OAuthError } from '../errors.ts'

/**
 * The conditions that count as an outage, by the beginning of the SQLSTATE, in words for the log. The first match applies.
 * Every other class stays an ordinary error: 22 and 23 are answers to the data sent, 42601 and most others are faults of this
 * program, and XX is a broken PostgreSQL. These become 500, so that an operator looks into them.
 */
const conditions: readonly (readonly [sqlState: RegExp, condition: string])[] = [
  [/^25006/, 'read-only'],
  [/^53100/, 'full'], // its disk
  [/^53/, 'overloaded'], // out of memory, too many connections
  [/^40/, 'in conflict'], // a deadlock or serialization failure, after all retries
  [/^0A000/, 'in conflict'], // a migration changed a type in a prepared statement, after all retries
  [/^(55P03|57014)/, 'slow'], // a lock or a statement took too long
  // no such schema, table or function: the schema is older than this code; a missing column is a fault of this program
  [/^(3F|42P01|42883)/, 'not migrated'],
  [/^42501/, 'without rights'], // depends on the operator's grants, never on the request
  // 08 connection, 26 and 42P05 a pooler lost our prepared statements or mixed them with others, 28 authorization,
  // 3D no such database, 25P03 and 25P04 a transaction took too long, 57 operator, 58 system
  [/^(08|25P0[34]|26|28|3D|42P05|57|58)/, 'away'],
]

/** Tells whether the NOTIFY queue is full because a session listens and never reads. 54000 has other meanings elsewhere. */
function isFullQueue({ code, file }: pg.DatabaseError): boolean {
  return code === '54000' && file === 'async.c'
}

/** The messages of `pg` for its own timeouts, which have no code. */
const unanswered = 'Query read timeout'
const impatience = /^(Query read timeout|timeout exceeded when trying to connect|timeout expired|.*connection timeout)$/

/** Converts an outage to OAuthError. Returns faults of this program and violated constraints unchanged. */
export function toOutage(error: unknown): unknown {
  const condition = error instanceof OAuthError ? null : findCondition(error)
  return condition === null ? error : describeOutage(condition, error)
}

/** Converts an error while connecting to OAuthError. Each one is an outage, since no statement has been sent yet. */
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

/** Creates the refusal of a statement when too many are waiting. */
export function refuseOverload(reason: string): OAuthError {
  return new OAuthError('temporarily_unavailable', unavailable, { reason, retryAfterSeconds: 1, isOverload: true })
}

const unavailable = 'The service cannot answer right now. Try again shortly.'

/** Tells whether the connection failed, so that other statements will fail too. A slow statement does not count. */
export function isAway(error: unknown): boolean {
  if (!isOutage(error) || error.isOverload) return false
  return /^($|08|53300|57P|58)/.test(sqlStateUnder(error))
}

/** Tells whether the database rolled back because of another session, so that a retry makes sense. */
export function isConflict(error: unknown): boolean {
  return /^40(001|P01)/.test(sqlStateUnder(error))
}

/** Tells whether a table changed after the statement was prepared. A new connection prepares it again. */
export function isStale(error: unknown): boolean {
  return sqlStateUnder(error) === '0A000'
}

/** Tells whether an answer never arrived, so that other connections may be dead as well. */
export function isSilent(error: unknown): boolean {
  return isOutage(error) && error.cause instanceof Error && error.cause.message === unanswered
}

/** Tells whether the database is read-only, for example a standby after a failover. */
export function isReadOnly(error: unknown): boolean {
  return sqlStateUnder(error) === '25006'
}

/** Tells whether a statement timed out while it waited for a lock. */
export function isLockTimeout(error: unknown): boolean {
  return sqlStateUnder(error) === '55P03'
}

/**
 * Tells whether only a person can end an outage: wrong credentials, no such database, a missing right, or a schema that is
 * not migrated. Waiting is pointless.
 */
export function needsPerson(error: unknown): boolean {
  return /^(28|3D|42501|3F|42P01|42883)/.test(sqlStateUnder(error))
}

/** Returns the SQLSTATE of an outage, or an empty text if PostgreSQL did not answer at all. */
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

/** Returns the driver's message of an outage. If it tried several addresses, there is only a code. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.message || ('code' in error ? String(error.code) : error.name)
}
