/** Timeouts of the database, in milliseconds. */
export interface Timeouts {
  /** Maximum wait for a connection, whether new or in use by others. */
  readonly connectionMs: number
  /** Maximum wait for a lock that another session holds. */
  readonly lockMs: number
  /** Maximum time of a statement, including locks, before the database cancels it. */
  readonly statementMs: number
  /** Maximum wait for an answer, for a database that does not even cancel. Must be longer than `statementMs`. */
  readonly answerMs: number
  /** Maximum pause in a transaction, before the database closes the connection and frees its locks. */
  readonly idleInTransactionMs: number
}

/** The timeouts of a server. If the database does not respond, the caller gets a 503 within `connectionMs + answerMs`. */
export const servingTimeouts: Timeouts = {
  connectionMs: 3_000,
  lockMs: 2_000, // longer than PostgreSQL takes to detect a deadlock, which is retried
  statementMs: 3_000,
  answerMs: 3_500,
  idleInTransactionMs: 10_000,
}

/** The timeouts of commands. They are long, since removing a client with a million tokens takes a while. */
export const commandTimeouts: Timeouts = {
  connectionMs: 5_000,
  lockMs: 60_000,
  statementMs: 600_000,
  answerMs: 605_000,
  idleInTransactionMs: 60_000,
}
