import type { Query } from '../../src/database/database.ts'
import { OAuthError } from '../../src/errors.ts'
import { nobody } from '../../src/passwords/hash-queue.ts'
import type { Passwords } from '../../src/passwords/password.ts'
import { createCredentialsFinder } from '../../src/users/find-credentials.ts'

/** Checks a name and a password as a sign-in does before it takes a seat. */
export async function authenticateUser(query: Query, passwords: Passwords, name: string, password: string) {
  const user = await createCredentialsFinder(query)(name)
  const matched = await passwords.match(user?.passwordHash ?? null, password, nobody, !user?.isEnabled)
  if (!user?.isEnabled || !matched) throw new OAuthError('invalid_grant', 'The user name or password is incorrect.')
  return { userId: user.id, userVersion: user.credentialVersion, checked: user.passwordHash ?? '' }
}
