import { OAuthError } from '../errors.ts'
import { foldCase } from '../fold-case.ts'
import { isShortText } from '../short-text.ts'

const longestUserName = 256

/** The key a user name is found by, whatever its case. */
export function userNameKey(name: string): string {
  return foldCase(name)
}

/** Whether a name is one a user can have: 1 to 256 code points, well-formed, no control characters. */
export function isUserName(name: string): boolean {
  return name !== '' && isShortText(name, longestUserName)
}

/** Refuses a name that nobody can have. Throws OAuthError `invalid_request`. */
export function requireUserName(name: string): void {
  if (isUserName(name)) return
  throw new OAuthError('invalid_request', 'A user name has 1 to 256 characters and no control characters.')
}
