/**
 * Runs one statement and returns its rows. `name` is the prepared statement's name; an empty name runs
 * the text unprepared and without a time limit, and without `values` it may hold several statements.
 * Throws OAuthError `temporarily_unavailable` when the database is away, slow, full or read-only.
 */
export type Query = <Row extends object>(name: string, text: string, values?: readonly unknown[]) => Promise<Row[]>

/** A PostgreSQL that keeps clients, users and tokens; whoever opened it closes it. */
export interface Database {
  /** For everything that writes, or that a sign-in needs. */
  readonly query: Query
  /** For checking tokens: connections of its own, so that no queue of sign-ins holds a check back. */
  readonly tokenQuery: Query
  /**
   * Runs `work` in one transaction: committed when it resolves, rolled back when it rejects. Where another session was
   * in its way (a deadlock) it runs anew, from its start, three times in all.
   */
  transaction<T>(work: (query: Query) => Promise<T>): Promise<T>
  /** Hears what is announced (see `Listener`), over one connection that all listeners share; until `close`. */
  listen(listener: Listener): void
  /** Ends all connections; an embedded PostgreSQL is stopped with its last user. */
  close(): Promise<void>
}

/** Who hears what the database announces. */
export interface Listener {
  /** Something was announced: `token <id>` when what is known of that token is over, `tokens` for all of them. */
  readonly onNotice: (notice: string) => void
  /** False from the moment announcements may be missed until they are heard again. */
  readonly onListening: (isListening: boolean) => void
}

/** Rows of one page of a list; a page that is shorter is the last one. */
export const pageSize = 1_000

/** Whether a statement failed on the named constraint. */
export function violates(error: unknown, constraint: string): boolean {
  return error instanceof Error && 'constraint' in error && error.constraint === constraint
}
