/**
 * Runs one statement, prepared under `name`, and returns its rows. Throws OAuthError `temporarily_unavailable` when the
 * database is away, slow, full or read-only.
 */
export type Query = <Row extends object>(name: string, text: string, values?: readonly unknown[]) => Promise<Row[]>

/**
 * Runs a text unprepared and without time limits, and returns the rows of its last statement. Without `values` it may contain
 * several statements. Throws as `Query` does.
 */
export type Script = <Row extends object>(text: string, values?: readonly unknown[]) => Promise<Row[]>

/** A PostgreSQL database that stores clients, users and tokens. The caller that opened it closes it. */
export interface Database {
  /**
   * Runs statements that only read, such as token checks. Sign-ins never delay them. A statement that writes fails here with
   * Error, unless a pooler dropped the settings of the connection.
   */
  readonly lookups: Query
  /** Runs statements that write, and all statements of a sign-in. */
  readonly writes: Query
  /** Runs migrations and manual scripts on connections of their own, without a transaction unless the script begins one. */
  readonly script: Script
  /**
   * Runs `work` in one transaction of the lane `writes`. Commits when it resolves and rolls back when it rejects. After a
   * conflict with another session, such as a deadlock, it runs `work` again from the start, up to three times in all. The
   * transaction has no time limits after its first script.
   */
  transaction<T>(work: (query: Query, script: Script) => Promise<T>): Promise<T>
  /** Adds a listener for announcements, until `close`. All listeners share one connection. */
  listen(listener: Listener): void
  /** Closes all connections. The last process to close an embedded PostgreSQL stops it. */
  close(): Promise<void>
}

/** Receives announcements of the database. */
export interface Listener {
  /** Called for each announcement: `token <id>` when that token has ended or changed, `tokens` for all tokens. */
  readonly onNotice: (notice: string) => void
  /** Called with false when announcements may be lost, and with true when they arrive again. */
  readonly onListening: (isListening: boolean) => void
}

/** Rows in one page of a list. A shorter page is the last one. */
export const pageSize = 1_000

/** Tells whether a statement failed because of the named constraint. */
export function violates(error: unknown, constraint: string): boolean {
  return error instanceof Error && 'constraint' in error && error.constraint === constraint
}
