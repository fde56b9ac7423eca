import { OAuthError } from '../errors.ts'
import { foldCase } from '../fold-case.ts'
import { requirePassword } from './password.ts'

const fewestCharacters = 8
const advisedCharacters = 15

/** Names of this service, in lower case. */
const ownNames = ['fastify-password-grant', 'password-grant', 'passwordgrant']

/**
 * Checks a new password. It refuses a password that is one of these, in any letter case:
 * - shorter than 8 characters (Unicode code points)
 * - one of the most common passwords
 * - the user name, or its part before or after an @
 * - the name of this service
 *
 * Returns advice for an accepted password that could be better, else null. Throws OAuthError `invalid_request` with the
 * reason.
 */
export async function applyPasswordPolicy(password: string, userName: string): Promise<string | null> {
  const length = [...password].length
  if (length < fewestCharacters) refuse(`A password must have at least ${fewestCharacters} characters.`)
  requirePassword(password)
  const folded = foldCase(password)
  if ([userName, ...userName.split('@')].some((name) => foldCase(name) === folded)) {
    refuse('A password must not be the user name or a part of it.')
  }
  if (ownNames.includes(folded)) refuse('A password must not be the name of this service.')
  if (await isCommon(folded)) refuse('This is one of the most common passwords. Attackers try those first.')
  return length < advisedCharacters ? `A password of at least ${advisedCharacters} characters is recommended.` : null
}

/** Loads the list on the first call, since a server and half of the commands never need it. */
async function isCommon(folded: string): Promise<boolean> {
  commonPasswords ??= loadCommonPasswords()
  return (await commonPasswords).has(folded)
}

let commonPasswords: Promise<ReadonlySet<string>> | null = null

/**
 * Loads the most common passwords of 8 or more characters, in lower case, the most common first. They come from the 20,000
 * most common ones of Pwned Passwords 6, as shipped by Django 4.2 in common-passwords.txt.gz (BSD-3-Clause, see
 * THIRD-PARTY-NOTICES.md). The list omits passwords with characters other than printable ASCII. The words are as people
 * chose them.
 */
async function loadCommonPasswords(): Promise<ReadonlySet<string>> {
  const { default: passwords } = await import('./common-passwords.json', { with: { type: 'json' } })
  return new Set(passwords)
}

function refuse(description: string): never {
  throw new OAuthError('invalid_request', description)
}
