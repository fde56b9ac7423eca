import type pg from 'pg'
import type { Timeouts } from './timeouts.ts'

/** What a session may do, and how long its statements may take. */
export interface StartUpSettings {
  readonly timeouts: Pick<Timeouts, 'statementMs' | 'lockMs' | 'idleInTransactionMs'>
  /** Whether the database refuses statements that write. */
  readonly isReadOnly?: boolean
}

/**
 * Puts the settings that the statements rely on into the packet that opens a connection, so that no statement depends on a
 * `set` that came before it on the same connection. They override the defaults of the server, the database and the role, and
 * what the URL or `PGOPTIONS` says of the same settings; the rest of those options stays.
 *
 * The search path makes names without a schema PostgreSQL's own: a function or an operator that another tenant planted in
 * `public` would run with our rights.
 */
export function setAtStartUp<Where extends pg.PoolConfig>(where: Where, settings: StartUpSettings): Where {
  const { timeouts, isReadOnly = false } = settings
  const ours = [
    'search_path=pg_catalog',
    'datestyle=iso',
    String.raw`default_transaction_isolation=read\ committed`,
    'standard_conforming_strings=on',
    `statement_timeout=${timeouts.statementMs}`,
    `lock_timeout=${timeouts.lockMs}`,
    `idle_in_transaction_session_timeout=${timeouts.idleInTransactionMs}`,
    ...(isReadOnly ? ['default_transaction_read_only=on'] : []),
  ].map((setting) => `-c ${setting}`)
  const theirs = where.options || process.env['PGOPTIONS'] || '' // as the driver reads it
  return { ...where, ...noOwnParameters, options: [theirs, ...ours].join(' ').trim() }
}

/** What the driver sends besides `options`, and PostgreSQL obeys rather than them. */
const noOwnParameters = {
  statement_timeout: undefined,
  lock_timeout: undefined,
  idle_in_transaction_session_timeout: undefined,
}
