import { describe, expect, test } from 'vitest'
import { refuseClient } from '../../src/clients/client.ts'
import { OAuthError, type OAuthErrorCode } from '../../src/errors.ts'
import { toOAuthError } from '../../src/http/refusals.ts'
import { descriptionCharacters } from '../support/refusals.ts'

const statuses: Record<OAuthErrorCode, number> = {
  invalid_request: 400,
  invalid_client: 401,
  invalid_grant: 400,
  invalid_token: 401,
  insufficient_scope: 403,
  unauthorized_client: 400,
  unsupported_grant_type: 400,
  slow_down: 429,
  not_found: 404,
  temporarily_unavailable: 503,
  server_error: 500,
}

function thrownBy(code: string, message: string, more: object = {}): Error {
  return Object.assign(new Error(message), { code, ...more })
}

describe('a refusal', () => {
  test.each(Object.entries(statuses))('%s has the status %i by default', (code, status) => {
    expect(new OAuthError(code as OAuthErrorCode, 'No.').status).toBe(status)
    expect(new OAuthError(code as OAuthErrorCode, 'No.', { status: 413 }).status).toBe(413)
  })

  test('has its description as its message and keeps the rest for the log', () => {
    const cause = new Error('inside')
    const error = new OAuthError('invalid_grant', 'No.', { reason: 'why', cause, userId: 'u', retryAfterSeconds: 2 })
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ name: 'OAuthError', message: 'No.', description: 'No.', reason: 'why', userId: 'u' })
    expect(error.cause).toBe(cause)
    expect(error.retryAfterSeconds).toBe(2)
    expect(error.headers).toEqual({})
  })

  test('has no stack trace, since any caller can cause it, and other errors keep theirs', () => {
    for (const code of ['invalid_token', 'invalid_grant', 'temporarily_unavailable'] as const) {
      expect(new OAuthError(code, 'No.').stack).toMatch(/^(OAuth)?Error: No\.$/)
    }
    expect(new Error('other').stack).toMatch(/\n {4}at /)
  })

  test.each<[string, OAuthError]>([
    ['has a cause', new OAuthError('temporarily_unavailable', 'No.', { cause: new Error('inside') })],
    ['is a fault of ours', new OAuthError('server_error', 'No.')],
  ])('has its stack trace where it %s', (_what, error) => {
    expect(error.stack).toMatch(/^OAuthError: No\.\n {4}at |^Error: No\.\n {4}at /)
  })

  test('of a client is one answer for every reason', () => {
    const [one, other] = [refuseClient('unknown client'), refuseClient('wrong client secret')]
    expect([one.code, one.status, one.description]).toEqual([other.code, other.status, other.description])
    expect(one.reason).not.toBe(other.reason)
  })
})

describe('a thrown value becomes a refusal', () => {
  test('and a refusal stays unchanged', () => {
    const error = new OAuthError('invalid_grant', 'No.')
    expect(toOAuthError(error)).toBe(error)
  })

  test.each<[string, Error, OAuthErrorCode, number]>([
    ['a body too long', thrownBy('FST_ERR_CTP_BODY_TOO_LARGE', 'x'), 'invalid_request', 413],
    ['a length that was wrong', thrownBy('FST_ERR_CTP_INVALID_CONTENT_LENGTH', 'x'), 'invalid_request', 400],
    ['a media type', thrownBy('FST_ERR_CTP_INVALID_MEDIA_TYPE', 'x'), 'invalid_request', 400],
    ['a peer that left', thrownBy('ECONNRESET', 'aborted'), 'invalid_request', 400],
    ['a Basic header', thrownBy('FST_BASIC_AUTH_MISSING_OR_BAD_AUTHORIZATION_HEADER', 'x'), 'invalid_client', 401],
    ['a fault of ours', new TypeError('x is not a function'), 'server_error', 500],
    ['a refused connection somewhere else', thrownBy('ECONNREFUSED', 'x'), 'server_error', 500],
    ["a host's hook with a status of its own", thrownBy('NO', 'marker', { statusCode: 403 }), 'invalid_request', 403],
    ["a host's hook that failed", thrownBy('NO', 'marker', { statusCode: 502 }), 'server_error', 500],
  ])('%s', (_name, thrown, code, status) => {
    const error = toOAuthError(thrown)
    expect([error.code, error.status]).toEqual([code, status])
    expect(error.description).toMatch(descriptionCharacters)
    expect(error.description).not.toContain(thrown.message)
  })

  test.each([undefined, null, 'text', 42, {}])('even %j, which is not an Error', (thrown) => {
    expect(toOAuthError(thrown)).toMatchObject({ code: 'server_error', status: 500 })
  })

  test('with the cause of a fault kept for the log', () => {
    const fault = new TypeError('inside')
    expect(toOAuthError(fault).cause).toBe(fault)
  })
})
