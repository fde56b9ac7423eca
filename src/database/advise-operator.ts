import { isOutage, OAuthError } from '../errors.ts'
import { sqlStateUnder } from './to-outage.ts'

/** What an operator does about it, by the beginning of the SQLSTATE; the first that fits. */
const advice: readonly (readonly [sqlState: RegExp, sentence: string])[] = [
  [/^(3F|42P01|42883)/, 'The database is not migrated to this version. Run `password-grant migrate` on it first.'],
  [/^3D/, 'The database that DATABASE_URL names does not exist. Create it, or correct the name.'],
  [
    /^28/,
    'PostgreSQL refuses the user name or the password in DATABASE_URL. Correct them, or admit the role in pg_hba.conf.',
  ],
  [
    /^42501/,
    'The role in DATABASE_URL lacks a right. Use the owner of the tables for commands, and grant a server its rights with ' +
      '`password-grant migrate --grant-to ROLE`; start that server with `--no-migrate`.',
  ],
  [
    /^25006/,
    'The database is read-only: a standby, or set so. Use the address of the primary in DATABASE_URL, or make it writable.',
  ],
]

/**
 * For an operator in front of a terminal: the same outage with the sentence that says what to do, where only a person can
 * end it. What PostgreSQL said stays the `reason`. Anything else comes back as it is.
 */
export function adviseOperator(error: unknown): unknown {
  if (!isOutage(error)) return error
  const sentence = advice.find(([sqlState]) => sqlState.test(sqlStateUnder(error)))?.[1]
  if (sentence === undefined) return error
  return new OAuthError('temporarily_unavailable', sentence, { reason: error.reason, cause: error.cause })
}
