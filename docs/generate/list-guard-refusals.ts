import Fastify from 'fastify'
import { DateTime } from 'luxon'
import { type BearerTokenEnd, bearer, type FoundBearerToken } from '../../src/bearer/index.ts'

/** A refusal of the guard, as a host with Fastify's own error handler sends it. */
export interface GuardRefusal {
  readonly situation: string
  readonly status: number
  readonly code: string | undefined
  readonly sentence: string
}

const ends: Record<BearerTokenEnd, string> = {
  expired: 'The token has expired.',
  superseded: 'A newer sign-in replaced the token.',
  revoked: 'The token was revoked.',
  unknown: 'The value is not a token.',
  inactive: 'The token is not live, and the guard asks over HTTP, where it learns no reason.',
}

const situations: readonly [situation: string, authorization: string | null][] = [
  ['The request has no token.', null],
  ['The header with the token is malformed.', 'Bearer two words'],
  ...Object.entries(ends).map(([end, situation]): [string, string] => [situation, `Bearer ${end}`]),
  ['The token does not have the role of the route.', 'Bearer live'],
  ['The token server is away or slow, or it refuses the credentials of the backend.', 'Bearer outage'],
]

/** Brings about every refusal of the guard. Returns what each of them says. */
export async function listGuardRefusals(): Promise<GuardRefusal[]> {
  const app = Fastify()
  await app.register(bearer, { findToken })
  app.get('/', { onRequest: app.requireToken({ role: 'Editor' }) }, async () => ({}))
  const refusals = []
  for (const [situation, authorization] of situations) {
    const response = await app.inject({ url: '/', headers: authorization === null ? {} : { authorization } })
    const { code, message } = response.json()
    refusals.push({ situation, status: response.statusCode, code, sentence: message })
  }
  await app.close()
  return refusals
}

async function findToken(value: string): Promise<FoundBearerToken> {
  if (value === 'outage') throw new Error('the token server is away')
  if (value !== 'live') return { ended: value as BearerTokenEnd } // one of the table above
  const issuedAt = DateTime.utc()
  const user = { userName: 'ada@example.com', userId: '0b7e0a52-3f6c-4d0e-9c53-6a1f2f5f8d11', role: 'Reader' }
  return { token: { ...user, clientId: 'web-shop', issuedAt, expiresAt: issuedAt.plus({ days: 1 }) } }
}
