/**
 * Runs one statement, which the database prepares under `name`, and returns its rows. Throws OAuthError
 * `temporarily_unavailable` when the database is away, slow, full or read-only.
 */
export type Query = <Row extends object>(name: string, text: string, values?: readonly unknown[]) => Promise<Row[]>

/**
 * Runs a text unprepared and without time limits, and returns the rows of its last statement. It may hold several
 * statements where it has no `values`. Throws as `Query` does.
 */
export type Script = <Row extends object>(text: string, values?: readonly unknown[]) => Promise<Row[]>

/** A PostgreSQL that keeps clients, users and tokens; whoever opened it closes it. */
export interface Database {
  /**
   * For reading, such as the check of a token: no queue of sign-ins holds a statement of this lane back. A statement that
   * writes fails here with Error, unless a pooler dropped the settings of the connection.
   */
  readonly lookups: Query
  /** For everything that writes, and for all that a sign-in asks. */
  readonly writes: Query
  /** For migrations and hands: each script runs on a connection of a third lane, in no transaction unless it begins one. */
  readonly script: Script
  /**
   * Runs `work` in one transaction of the lane `writes`: committed when it resolves, rolled back when it rejects. Where
   * another session was in its way (a deadlock) it runs anew, from its start, three times in all. From its first script on
   * the transaction has no time limits.
   */
  transaction<T>(work: (query: Query, script: Script) => Promise<T>): Promise<T>
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
