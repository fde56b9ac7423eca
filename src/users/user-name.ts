import { OAuthError } from '../errors.ts'
import { foldCase } from '../fold-case.ts'
import { isShortText } from '../short-text.ts'

const longestUserName = 256

/** Returns the key that finds a user name in any letter case. */
export function userNameKey(name: string): string {
  return foldCase(name)
}

/** Tells whether a user can have a name: 1 to 256 code points, well-formed, no control characters. */
export function isUserName(name: string): boolean {
  return name !== '' && isShortText(name, longestUserName)
}

/** Throws OAuthError `invalid_request` for a name that no user can have. */
export function requireUserName(name: string): void {
  if (isUserName(name)) return
  throw new OAuthError('invalid_request', 'A user name has 1 to 256 characters and no control characters.')
}
