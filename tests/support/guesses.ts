import { randomInt } from 'node:crypto'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { expect } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { keepSecret } from './kept-secrets.ts'
import { randomWord } from './people.ts'
import { type Asking, basic, passwordForm } from './requests.ts'

/** What a server is told that believes the proxy in front of it: `inject` comes from there. */
export const behindProxy = { trustProxy: ['127.0.0.1'] }

let networks = randomInt(0xffff)

/** A network that no other test of the file uses (RFC 2544 keeps these for tests). */
export function newNetwork(): string {
  networks = (networks + 1) % 0x1ffff
  return `198.${18 + (networks >> 16)}.${(networks >> 8) & 0xff}.${networks & 0xff}`
}

/** A sign-in that comes through the proxy from an address; notes the value it gets as a secret. */
export async function signInFrom(
  app: FastifyInstance,
  { client, user }: Asking,
  from: string,
  headers: Record<string, string> = basic(client.id, client.secret),
): Promise<LightMyRequestResponse> {
  const response = await app.inject({
    method: 'POST',
    url: '/Token',
    headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-forwarded-for': from, ...headers },
    body: passwordForm(user),
  })
  if (response.statusCode === 200) keepSecret(response.json().access_token)
  return response
}

/** The same with a wrong password. */
export function guess(app: FastifyInstance, { client, user }: Asking, from: string): Promise<LightMyRequestResponse> {
  return signInFrom(app, { client, user: { name: user.name, password: keepSecret(randomWord()) } }, from)
}

/** So many guesses, one after the other; their statuses. */
export async function guessTimes(times: number, app: FastifyInstance, asking: Asking, from: string): Promise<number[]> {
  const statuses: number[] = []
  for (let turn = 0; turn < times; turn += 1) statuses.push((await guess(app, asking, from)).statusCode)
  return statuses
}

/** From now on every wait in this database is as many minutes as it would be seconds: a slow machine ends none. */
export async function lengthenWaits({ script }: Database): Promise<void> {
  const signature = 'password_grant.wait_after (failures integer, free integer, longest_seconds integer)'
  await script('alter function password_grant.wait_after (integer, integer, integer) rename to wait_in_truth')
  await script(
    `create function ${signature} returns interval language sql
    as 'select 60 * password_grant.wait_in_truth(failures, free, longest_seconds)'`,
  )
}

/** The refusal of a caller that has to wait, in the format of `webapi`. */
export function expectSlowDown(response: LightMyRequestResponse): void {
  expect([response.statusCode, response.json()]).toEqual([
    429,
    { error: 'slow_down', error_description: 'Too many attempts.' },
  ])
  expect(response.headers['retry-after']).toMatch(/^[1-9]\d*$/)
  expect(response.headers).toMatchObject({ 'cache-control': 'no-store', pragma: 'no-cache' })
  expect(response.headers).not.toHaveProperty('www-authenticate')
}

/** How often each status came. */
export function tally(responses: readonly LightMyRequestResponse[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const { statusCode } of responses) counts[statusCode] = (counts[statusCode] ?? 0) + 1
  return counts
}
