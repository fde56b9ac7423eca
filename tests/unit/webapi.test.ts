import fc from 'fast-check'
import { DateTime } from 'luxon'
import { describe, expect, test } from 'vitest'
import { webapi } from '../../src/dialects/webapi.ts'
import { OAuthError, type OAuthErrorCode } from '../../src/errors.ts'
import type { IssuedToken } from '../../src/tokens/token.ts'
import type { WireRequest } from '../../src/wire/wire-request.ts'
import { descriptionCharacters } from '../support/refusals.ts'

const request: WireRequest = { text: '', query: '', headers: {}, fields: new Map() }

const issuedAt = DateTime.fromISO('2020-09-13T09:35:33Z')

function issued(facts: Partial<IssuedToken> = {}): IssuedToken {
  return {
    id: '0b7e0a52-3f6c-4d0e-9c53-6a1f2f5f8d11',
    clientId: 'shop',
    userId: '614a1d03-873d-489e-9ab5-fb53b0a0c64f',
    userName: 'user@example.com',
    role: 'Administrator',
    device: '',
    issuedAt,
    expiresAt: issuedAt.plus({ seconds: 1_209_600 }),
    value: 'value-of-the-token',
    lifetimeSeconds: 1_209_600,
    signInId: '8a2f1f7e-6a51-4d0a-bb0e-6f9a6f1f0c11',
    ...facts,
  }
}

function read(fields: Record<string, string>) {
  return webapi.read(new Map(Object.entries(fields)))
}

describe('the webapi dialect', () => {
  test('listens at /Token', () => {
    expect([webapi.name, webapi.path]).toEqual(['webapi', '/Token'])
  })

  test('answers with exactly the fields of the published example in order', () => {
    expect(webapi.write(issued(), request).body).toBe(
      '{"access_token":"value-of-the-token","token_type":"bearer","expires_in":1209600,' +
        '"userName":"user@example.com","userId":"614a1d03-873d-489e-9ab5-fb53b0a0c64f","role":"Administrator",' +
        '".issued":"Sun, 13 Sep 2020 09:35:33 GMT",".expires":"Sun, 27 Sep 2020 09:35:33 GMT"}',
    )
    expect(webapi.write(issued(), request).status).toBe(200)
    expect(webapi.write(issued(), request).headers).toEqual({ 'content-type': 'application/json; charset=utf-8' })
  })

  test('writes a missing role as an empty text', () => {
    expect(JSON.parse(webapi.write(issued({ role: '' }), request).body).role).toBe('')
  })

  test('keeps .expires − .issued equal to expires_in, for every lifetime and moment', () => {
    const moments = fc.integer({ min: 0, max: 4_102_444_800 })
    const lifetimes = fc.integer({ min: 1, max: 316_224_000 })
    fc.assert(
      fc.property(moments, lifetimes, (seconds, lifetimeSeconds) => {
        const start = DateTime.fromSeconds(seconds, { zone: 'utc' })
        const token = issued({ issuedAt: start, expiresAt: start.plus({ seconds: lifetimeSeconds }), lifetimeSeconds })
        const body = JSON.parse(webapi.write(token, request).body)
        expect(body['.issued']).toBe(start.toHTTP())
        expect((Date.parse(body['.expires']) - Date.parse(body['.issued'])) / 1000).toBe(body.expires_in)
      }),
    )
  })

  test('writes any name and role unchanged', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (userName, role) => {
        expect(JSON.parse(webapi.write(issued({ userName, role }), request).body)).toMatchObject({ userName, role })
      }),
    )
  })

  test('reads a password grant for the seat without a label', () => {
    expect(read({ grant_type: 'password', username: 'ada', password: ' p ' })).toEqual({
      grant: 'password',
      username: 'ada',
      password: ' p ',
      device: '',
    })
  })

  test.each<[Record<string, string>, OAuthErrorCode, string]>([
    [{}, 'invalid_request', 'The field grant_type is missing.'],
    [{ grant_type: '' }, 'invalid_request', 'The field grant_type is missing.'],
    [{ grant_type: 'refresh_token' }, 'unsupported_grant_type', 'The only supported grant_type is password.'],
    [{ grant_type: 'Password' }, 'unsupported_grant_type', 'The only supported grant_type is password.'],
    [{ grant_type: 'password ' }, 'unsupported_grant_type', 'The only supported grant_type is password.'],
    [{ grant_type: 'x', username: '' }, 'unsupported_grant_type', 'The only supported grant_type is password.'],
    [{ grant_type: 'password' }, 'invalid_request', 'The field username is missing.'],
    [{ grant_type: 'password', username: '', password: 'p' }, 'invalid_request', 'The field username is missing.'],
    [{ grant_type: 'password', username: 'ada' }, 'invalid_request', 'The field password is missing.'],
    [{ grant_type: 'password', username: 'ada', password: '' }, 'invalid_request', 'The field password is missing.'],
  ])('refuses the fields %j as %s', (fields, code, description) => {
    expect(() => read(fields)).toThrow(expect.objectContaining({ code, status: 400, description }))
    expect(description).toMatch(descriptionCharacters)
  })

  test.each<[OAuthErrorCode, number]>([
    ['invalid_request', 400],
    ['invalid_client', 401],
    ['invalid_grant', 400],
    ['invalid_token', 401],
    ['unsupported_grant_type', 400],
    ['temporarily_unavailable', 503],
    ['server_error', 500],
  ])('answers %s with status %i and a challenge only where the client is refused', (code, status) => {
    const reply = webapi.refuse(
      new OAuthError(code, 'A sentence.', { reason: 'inside', cause: new Error('inside') }),
      request,
    )
    expect(reply.status).toBe(status)
    expect(reply.body).toBe(`{"error":"${code}","error_description":"A sentence."}`)
    expect(reply.headers).toEqual({
      'content-type': 'application/json; charset=utf-8',
      ...(code === 'invalid_client' ? { 'www-authenticate': 'Basic realm="password-grant"' } : {}),
    })
  })

  test('answers a refusal of another status with that status', () => {
    expect(webapi.refuse(new OAuthError('invalid_request', 'Too long.', { status: 413 }), request).status).toBe(413)
  })
})
