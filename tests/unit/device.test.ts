import { DateTime } from 'luxon'
import { describe, expect, test } from 'vitest'
import { device } from '../../src/dialects/device.ts'
import { OAuthError, type OAuthErrorCode } from '../../src/errors.ts'
import { signText } from '../../src/secrets.ts'
import type { IssuedToken } from '../../src/tokens/token.ts'
import type { WireRequest } from '../../src/wire/wire-request.ts'

const request = (text: string): WireRequest => ({
  text,
  query: '',
  headers: { 'content-type': 'application/json' },
  fields: new Map(),
})

async function read(body: string | object) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return device.read(await device.decode(request(text)))
}

const published = { device_key: 'your-device-key', timestamp: 1620045991, device_signature: 'your-device-signature' }
const understood = {
  grant: 'device signature',
  deviceKey: 'your-device-key',
  timestamp: '1620045991',
  signature: 'your-device-signature',
}

describe('the device dialect', () => {
  test('listens at /auth/login, to POST alone', () => {
    expect([device.name, device.path, device.methods]).toEqual(['device', '/auth/login', ['POST']])
  })

  test.each<[string, string | object]>([
    ['the published example', published],
    ['a byte order mark', `\uFEFF${JSON.stringify(published)}`],
    ['the published example as its Python has it', JSON.stringify(published).replaceAll(':', ': ')],
    ['a timestamp as text', { ...published, timestamp: '1620045991' }],
    [
      'device-signature, as the published PHP writes it',
      { device_key: 'your-device-key', timestamp: 1620045991, 'device-signature': 'your-device-signature' },
    ],
    [
      'names in any case and any order',
      { Device_Signature: 'your-device-signature', TIMESTAMP: '1620045991', Device_Key: 'your-device-key' },
    ],
    ['unknown members', { ...published, firmware: '1.2.3', battery: 97, note: null }],
  ])('reads %s', async (_what, body) => {
    expect(await read(body)).toEqual(understood)
  })

  test('matches the signature of the reference vector', () => {
    expect(signText('my-customer-key', '1620045991my-device-key').toString('hex')).toBe(
      'fdb0d8e26a382697721763c11425c0af55841769dd7d62298d893816e2a877c7',
    )
  })

  test('keeps the digits as sent, since they are signed', async () => {
    expect(await read({ ...published, timestamp: '0001620045991' })).toMatchObject({ timestamp: '0001620045991' })
  })

  test.each<[string, unknown]>([
    ['a sign', '-1620045991'],
    ['a negative number', -1620045991],
    ['a fraction', 1620045991.5],
    ['an exponent', '1.62e9'],
    ['a space', ' 1620045991'],
    ['a line end', '1620045991\n'],
    ['letters', 'now'],
    ['hexadecimal', '0x60900000'],
    ['digits of another script', '١٦٢٠٠٤٥٩٩١'],
    ['more digits than a time has', '1'.repeat(16)],
  ])('refuses a timestamp with %s', async (_what, timestamp) => {
    await expect(read({ ...published, timestamp })).rejects.toMatchObject({
      code: 'invalid_request',
      description: 'timestamp is a whole number of seconds since 1970.',
    })
  })

  test('refuses a number that is not written as a whole number', async () => {
    const body = JSON.stringify(published)
    for (const written of ['1620045991.0', '1.620045991e9', '1620045991E0']) {
      await expect(read(body.replace('1620045991', written))).rejects.toMatchObject({ code: 'invalid_request' })
    }
  })

  test.each(['device_key', 'timestamp', 'device_signature'])(
    'names %s when it is missing, empty or null',
    async (name) => {
      const { [name as 'timestamp']: _left, ...rest } = published
      for (const body of [rest, { ...published, [name]: '' }, { ...published, [name]: null }]) {
        await expect(read(body)).rejects.toMatchObject({
          code: 'invalid_request',
          description: `The field ${name} is missing.`,
        })
      }
    },
  )

  test.each<[string, string]>([
    ['nothing', ''],
    ['the published curl example, which lacks a comma', '{"device_key":"k","timestamp":1 "device_signature":"s"}'],
    [
      'the published PHP example, which has a comma too many',
      '{"device_key":"k","timestamp":1,"device-signature":"s",}',
    ],
    ['a form', 'device_key=k&timestamp=1&device_signature=s'],
    ['an array', '[]'],
    ['a text', '"device_key"'],
    ['a repeated member', '{"device_key":"k","timestamp":1,"timestamp":2,"device_signature":"s"}'],
    ['a repeated member in another case', '{"device_key":"k","Device_Key":"l","timestamp":1,"device_signature":"s"}'],
    [
      'both spellings of the signature',
      '{"device_key":"k","timestamp":1,"device_signature":"s","device-signature":"s"}',
    ],
    ['an object inside', '{"device_key":{"a":"k"},"timestamp":1,"device_signature":"s"}'],
    ['an array inside', '{"device_key":["k"],"timestamp":1,"device_signature":"s"}'],
    ['true', '{"device_key":true,"timestamp":1,"device_signature":"s"}'],
    ['NUL', '{"device_key":"k\\u0000","timestamp":1,"device_signature":"s"}'],
    ['half a character', '{"device_key":"\\ud800","timestamp":1,"device_signature":"s"}'],
    ['bytes that are not UTF-8', '{"device_key":"\uFFFD","timestamp":1,"device_signature":"s"}'],
  ])('refuses a body that is %s', async (_what, body) => {
    await expect(read(body)).rejects.toMatchObject({ code: 'invalid_request', status: 400 })
  })

  test('answers with the token and nothing else', () => {
    const issuedAt = DateTime.fromISO('2021-05-03T12:46:31Z')
    const token: IssuedToken = {
      id: '0b7e0a52-3f6c-4d0e-9c53-6a1f2f5f8d11',
      clientId: 'device',
      userId: '614a1d03-873d-489e-9ab5-fb53b0a0c64f',
      userName: 'your-device-key',
      role: 'Sensor',
      device: '',
      issuedAt,
      expiresAt: issuedAt.plus({ seconds: 600 }),
      value: 'header.payload.signature',
      lifetimeSeconds: 600,
      signInId: '8a2f1f7e-6a51-4d0a-bb0e-6f9a6f1f0c11',
    }
    expect(device.write(token, request(''))).toEqual({
      status: 200,
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body: '{"token":"header.payload.signature"}',
    })
  })

  const statuses: Record<OAuthErrorCode, number> = {
    invalid_request: 400,
    invalid_client: 401,
    invalid_grant: 401,
    invalid_token: 401,
    insufficient_scope: 403,
    unauthorized_client: 401,
    unsupported_grant_type: 400,
    slow_down: 429,
    not_found: 404,
    temporarily_unavailable: 503,
    server_error: 500,
  }
  test.each(Object.entries(statuses))('answers %s with status %i, in JSON without a member token', (code, status) => {
    const error = new OAuthError(code as OAuthErrorCode, 'A sentence.', {
      reason: 'inside',
      cause: new Error('inside'),
    })
    expect(device.refuse(error, request(''))).toEqual({
      status,
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body: `{"error":"${code}","message":"A sentence."}`,
    })
  })
})
