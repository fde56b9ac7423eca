import type pg from 'pg'
import type { Timeouts } from './timeouts.ts'

/** The settings of a session. */
export interface StartUpSettings {
  readonly timeouts: Pick<Timeouts, 'statementMs' | 'lockMs' | 'idleInTransactionMs'>
  /** Whether the database refuses statements that write. */
  readonly isReadOnly?: boolean
}

/**
 * Adds the settings that statements rely on to the packet that opens a connection. So no statement depends on an earlier `set`
 * on the same connection. The settings override the defaults of the server, the database and the role, and the same settings
 * in the URL or `PGOPTIONS`. Other options there stay in force.
 *
 * The search path resolves names without a schema to PostgreSQL's own objects. Otherwise a function or operator that another
 * tenant planted in `public` would run with our rights.
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
  const theirs = where.options || process.env['PGOPTIONS'] || '' // in the driver's order of precedence
  return { ...where, ...noOwnParameters, options: [theirs, ...ours].join(' ').trim() }
}

/** Removes settings that the driver sends besides `options`, since they would override ours. */
const noOwnParameters = {
  statement_timeout: undefined,
  lock_timeout: undefined,
  idle_in_transaction_session_timeout: undefined,
}
