import { isOutage, OAuthError } from '../errors.ts'
import { sqlStateUnder } from './to-outage.ts'

/** Advice for the operator by the beginning of the SQLSTATE. The first match applies. */
const advice: readonly (readonly [sqlState: RegExp, sentence: string])[] = [
  [/^(3F|42P01|42883)/, 'The database is not migrated to this version. Run `password-grant migrate` on it first.'],
  [/^3D/, 'The database that DATABASE_URL names does not exist. Create it, or correct the name.'],
  [
    /^28/,
    'PostgreSQL refuses the user name or the password in DATABASE_URL. Correct them, or allow the role in pg_hba.conf.',
  ],
  [
    /^42501/,
    'The role in DATABASE_URL lacks a right. Use the owner of the tables for commands, and grant a server its rights with ' +
      '`password-grant migrate --grant-to ROLE`; start that server with `--no-migrate`.',
  ],
  [
    /^25006/,
    'The database is read-only: it is a standby, or is configured so. Use the address of the primary in DATABASE_URL, or make ' +
      'the database writable.',
  ],
]

/**
 * Adds advice for the operator to an outage that only a person can end. The `reason` still says what PostgreSQL reported.
 * Returns any other error unchanged.
 */
export function adviseOperator(error: unknown): unknown {
  if (!isOutage(error)) return error
  const sentence = advice.find(([sqlState]) => sqlState.test(sqlStateUnder(error)))?.[1]
  if (sentence === undefined) return error
  return new OAuthError('temporarily_unavailable', sentence, { reason: error.reason, cause: error.cause })
}
