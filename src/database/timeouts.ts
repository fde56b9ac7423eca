/** How long the database may let its askers wait, in milliseconds. */
export interface Timeouts {
  /** For a connection: a new one, or one that others hold. */
  readonly connectionMs: number
  /** For a lock that another session holds. */
  readonly lockMs: number
  /** For a statement, locks included, before the database itself breaks it off. */
  readonly statementMs: number
  /** For an answer, when the database does not even break off; longer than `statementMs`. */
  readonly answerMs: number
  /** For the next statement of a transaction, before the database ends the connection and frees its locks. */
  readonly idleInTransactionMs: number
}

/** Somebody waits for an HTTP answer: with a database that says nothing it is a 503 within `connectionMs + answerMs`. */
export const servingTimeouts: Timeouts = {
  connectionMs: 3_000,
  lockMs: 2_000, // longer than PostgreSQL takes to find a deadlock, which is tried again
  statementMs: 3_000,
  answerMs: 3_500,
  idleInTransactionMs: 10_000,
}

/** An operator can wait: removing a client with a million tokens takes its time. */
export const commandTimeouts: Timeouts = {
  connectionMs: 5_000,
  lockMs: 60_000,
  statementMs: 600_000,
  answerMs: 605_000,
  idleInTransactionMs: 60_000,
}
