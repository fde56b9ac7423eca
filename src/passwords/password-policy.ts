import { OAuthError } from '../errors.ts'
import { foldCase } from '../fold-case.ts'
import { requirePassword } from './password.ts'

const fewestCharacters = 8
const advisedCharacters = 15

/** What this service calls itself. */
const ownNames = ['fastify-password-grant', 'password-grant', 'passwordgrant']

/**
 * Decides about a password that is to be set: refuses one of fewer than 8 characters, one of the most common ones, and
 * one that is the user's name, a part of it around the @, or this service's name, in any letter case. Throws OAuthError
 * `invalid_request` with the reason. Resolves with advice about a password that is accepted and might be better, else
 * with null. Characters are Unicode code points, and any will do.
 */
export async function applyPasswordPolicy(password: string, userName: string): Promise<string | null> {
  const length = [...password].length
  if (length < fewestCharacters) refuse(`A password has at least ${fewestCharacters} characters.`)
  requirePassword(password)
  const folded = foldCase(password)
  if ([userName, ...userName.split('@')].some((name) => foldCase(name) === folded)) {
    refuse('A password is neither the user name nor a part of it.')
  }
  if (ownNames.includes(folded)) refuse('A password is not the name of this service.')
  if (await isCommon(folded)) refuse('That is one of the most common passwords, which are the first to be guessed.')
  return length < advisedCharacters ? `A password of at least ${advisedCharacters} characters is advised.` : null
}

/** Half the commands and every server have no use for the list: it is loaded when first asked. */
async function isCommon(folded: string): Promise<boolean> {
  commonPasswords ??= loadCommonPasswords()
  return (await commonPasswords).has(folded)
}

let commonPasswords: Promise<ReadonlySet<string>> | null = null

/**
 * Loads the most common passwords of 8 characters and more, in lower case. The list has those among the 20,000 most common of
 * Pwned Passwords 6 as Django 4.2 ships them in common-passwords.txt.gz (BSD-3-Clause, see THIRD-PARTY-NOTICES.md), most
 * common first, less what has other characters than printable ASCII. The words are as people chose them.
 */
async function loadCommonPasswords(): Promise<ReadonlySet<string>> {
  const { default: passwords } = await import('./common-passwords.json', { with: { type: 'json' } })
  return new Set(passwords)
}

function refuse(description: string): never {
  throw new OAuthError('invalid_request', description)
}
