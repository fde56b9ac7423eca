import type { LightMyRequestResponse } from 'fastify'
import { expect } from 'vitest'
import { OAuthError } from '../../src/errors.ts'

/** RFC 6749 §5.2: the characters of an error_description. */
export const descriptionCharacters = /^[\x20-\x21\x23-\x5B\x5D-\x7E]+$/

/** The one answer for a wrong password, an unknown user and a disabled one. */
export const wrongPassword = 'The user name or password is incorrect.'

/**
 * What every refusal of the token endpoint has in common: status, code, exactly two fields in order, readable
 * characters, nothing cached, a challenge with 401 and `Retry-After` with 503 and with nothing else.
 */
export function expectRefusal(
  response: LightMyRequestResponse,
  status: number,
  error: string,
  description: unknown = expect.stringMatching(descriptionCharacters),
): void {
  expect({ status: response.statusCode, ...response.json() }).toEqual({
    status,
    error,
    error_description: description,
  })
  expect(Object.keys(response.json())).toEqual(['error', 'error_description'])
  expect(response.json().error_description).toMatch(descriptionCharacters)
  expect(response.headers['content-type']).toBe('application/json; charset=utf-8')
  expect(response.headers['cache-control']).toBe('no-store')
  expect(response.headers.pragma).toBe('no-cache')
  expect(response.headers['www-authenticate']).toEqual(
    status === 401 ? expect.stringMatching(/^Basic realm="[^"]+"$/) : undefined,
  )
  expect(response.headers['retry-after']).toEqual(status === 503 ? expect.stringMatching(/^[1-9]\d*$/) : undefined)
}

/** What reading refused, in its own words: 400 `invalid_request` and nothing else; null when nothing was refused. */
export function descriptionOf(read: () => unknown): string | null {
  try {
    read()
    return null
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    expect([error.code, error.status]).toEqual(['invalid_request', 400])
    expect(error.description).toMatch(descriptionCharacters)
    return error.description
  }
}
