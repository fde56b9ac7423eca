import fc from 'fast-check'
import { DateTime } from 'luxon'
import { describe, expect, test } from 'vitest'
import { webapi } from '../../src/dialects/webapi.ts'
import { webapiParity } from '../../src/dialects/webapi-parity.ts'
import { OAuthError, type OAuthErrorCode, type OAuthErrorDetails } from '../../src/errors.ts'
import type { IssuedToken } from '../../src/tokens/token.ts'
import type { WireRequest } from '../../src/wire/wire-request.ts'

const request: WireRequest = { text: '', query: '', headers: {}, fields: new Map() }
const issuedAt = DateTime.fromISO('2020-09-13T09:35:33Z')

function issued(lifetimeSeconds: number): IssuedToken {
  return {
    id: 'c56a4180-65aa-42ec-a945-5fd21dec0538',
    clientId: 'acme-web',
    userId: '614a1d03-873d-489e-9ab5-fb53b0a0c64f',
    userName: 'user@example.com',
    role: 'Administrator',
    device: '',
    issuedAt,
    expiresAt: issuedAt.plus({ seconds: lifetimeSeconds }),
    value: 'value-of-the-token',
    lifetimeSeconds,
    signInId: '8a2f1f7e-6a51-4d0a-bb0e-6f9a6f1f0c11',
  }
}

const headers = {
  'content-type': 'application/json;charset=UTF-8',
  'cache-control': 'no-cache',
  pragma: 'no-cache',
  expires: '-1',
}

describe('the exact parity with the ancestor of webapi', () => {
  test('answers with the published example, including 1209599', () => {
    expect(webapiParity.write(issued(1_209_600), request)).toEqual({
      status: 200,
      headers,
      body:
        '{"access_token":"value-of-the-token","token_type":"bearer","expires_in":1209599,' +
        '"userName":"user@example.com","userId":"614a1d03-873d-489e-9ab5-fb53b0a0c64f","role":"Administrator",' +
        '".issued":"Sun, 13 Sep 2020 09:35:33 GMT",".expires":"Sun, 27 Sep 2020 09:35:33 GMT"}',
    })
  })

  test('omits expires_in at the end of a lifetime', () => {
    const body = JSON.parse(webapiParity.write(issued(1), request).body)
    expect(Object.keys(body)).toEqual([
      'access_token',
      'token_type',
      'userName',
      'userId',
      'role',
      '.issued',
      '.expires',
    ])
  })

  test('states one second less for every other lifetime', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 316_224_000 }), (lifetimeSeconds) => {
        const body = JSON.parse(webapiParity.write(issued(lifetimeSeconds), request).body)
        expect(body.expires_in).toBe(lifetimeSeconds - 1)
        expect((Date.parse(body['.expires']) - Date.parse(body['.issued'])) / 1000).toBe(lifetimeSeconds)
      }),
    )
  })

  const described = '"error_description":"A sentence."'
  const verdicts: Partial<Record<OAuthErrorCode, string>> = {
    invalid_request: `{"error":"invalid_request",${described}}`,
    invalid_grant: `{"error":"invalid_grant",${described}}`,
    unauthorized_client: `{"error":"unauthorized_client",${described}}`,
    invalid_client: '{"error":"invalid_client"}',
    unsupported_grant_type: '{"error":"unsupported_grant_type"}',
  }
  test.each(Object.entries(verdicts))('refuses %s with 400 and no challenge', (code, body) => {
    const error = new OAuthError(code as OAuthErrorCode, 'A sentence.', { reason: 'inside' })
    expect(webapiParity.refuse(error, request)).toEqual({ status: 400, headers, body })
  })

  test.each<[OAuthErrorCode, OAuthErrorDetails, number]>([
    ['invalid_request', { status: 405 }, 405],
    ['invalid_request', { status: 413 }, 413],
    ['slow_down', {}, 429],
    ['temporarily_unavailable', {}, 503],
    ['server_error', {}, 500],
  ])('has no answer of its own to %s %o', (code, details, status) => {
    const error = new OAuthError(code, 'A sentence.', details)
    expect(webapiParity.refuse(error, request)).toEqual(webapi.refuse(error, request))
    expect(webapiParity.refuse(error, request).status).toBe(status)
  })

  const user = { username: 'ada', password: 'sesame' }
  test.each<[string, Record<string, string>]>([
    ['missing', user],
    ['empty', { ...user, grant_type: '' }],
    ['another', { ...user, grant_type: 'refresh_token' }],
    ['in capitals', { ...user, grant_type: 'Password' }],
  ])('treats a grant_type that is %s as unsupported', (_what, fields) => {
    expect(() => webapiParity.read(new Map(Object.entries(fields)))).toThrow(
      expect.objectContaining({ code: 'unsupported_grant_type' }),
    )
  })

  test('reads the right grant_type as webapi does, with missing fields too', () => {
    const fields = new Map(Object.entries({ ...user, grant_type: 'password' }))
    expect(webapiParity.read(fields)).toEqual(webapi.read(fields))
    for (const name of Object.keys(user)) {
      const less = new Map([...fields].filter(([key]) => key !== name))
      expect(() => webapiParity.read(less)).toThrow(expect.objectContaining({ code: 'invalid_request' }))
    }
  })
})
