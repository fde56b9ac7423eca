import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Server, startServer } from '../../bench/support/children.ts'
import { costVariables, trivialCost } from '../../bench/support/place.ts'
import type { Room } from '../../bench/support/room.ts'
import { type Attack, attack, type Findings } from './attack.ts'
import { type Costs, measureCosts } from './costs.ts'
import { type Faults, gatherFaults } from './faults.ts'
import type { Allowed } from './judge.ts'
import { addKnown, type Known, spared } from './known.ts'
import { readLog } from './read-log.ts'
import { drawRepetitions } from './repetitions.ts'

/** A configuration of the product. */
export interface Setting {
  /** Its share of the requests, in tenths. */
  readonly share: number
  readonly variables: Readonly<Record<string, string>>
  readonly allowed: Allowed
}

const open = { THROTTLE: 'off', DIALECTS: 'webapi,webapi-session,envelope,device' }

/** The settings. Half of the requests run without throttling, since the throttle gives most guesses the same answer. */
export const settings = {
  plain: { share: 3, variables: open, allowed: {} },
  throttled: { share: 5, variables: { ...open, THROTTLE: 'on', TRUST_PROXY: '127.0.0.0/8' }, allowed: {} },
  variants: {
    share: 2,
    variables: { ...open, WEBAPI_PARITY: 'true', ENVELOPE_DEBUG: 'true', CORS_ORIGINS: 'https://app.example.com' },
    allowed: { hasParity: true, hasDebug: true },
  },
} as const satisfies Readonly<Record<string, Setting>>

/**
 * Starts the product on an empty database, sends requests to it, and checks that it still works afterwards: it accepts a right
 * sign-in, has logged no errors, and ends in time.
 */
export async function fuzzServer(
  room: Room,
  url: string,
  setting: Setting,
  options: Attack,
): Promise<Findings & { costs: Costs }> {
  const ENCRYPTION_KEY = randomBytes(32).toString('base64')
  const variables = { ...costVariables(trivialCost), ...setting.variables, ENCRYPTION_KEY }
  const server = await startServer(room, { url }, variables)
  const known = await addKnown(url, ENCRYPTION_KEY, server.url)
  const findings = await attack({ ...server, known, allowed: setting.allowed }, options)
  const faults = gatherFaults(known)
  const costs = await measure(server, known, options, faults)
  await signInOnce(server, known, faults)
  await endServer(server, faults)
  await readLog(server.log, known, faults)
  return { ...findings, costs, faults: [...findings.faults, ...faults.all()] }
}

/** Chooses repetitions to measure: some in a short attack, all in a long one. */
async function measure({ url, pid }: Server, { client }: Known, attacked: Attack, faults: Faults): Promise<Costs> {
  const { seed, requests } = attacked
  const basic = Buffer.from(`${client.id}:${client.secret}`).toString('base64')
  const body = 'grant_type=password' // the user name is missing
  const ordinary = Buffer.from(
    `POST /Token HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Basic ${basic}\r\n` +
      `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  const costs = await measureCosts({ url, pid, ordinary }, drawRepetitions(seed, Math.ceil(requests / 10)))
  for (const { place, piece, ms, write } of costs.tooDear) {
    const times = (ms / costs.ordinaryMs).toFixed(1)
    faults.addText(
      `${place}, repeated: ${piece}: costs as much as ${times} ordinary refusals`,
      write().toString('latin1', 0, 200),
    )
  }
  return costs
}

async function signInOnce({ url }: Server, { client, password }: Known, faults: Faults): Promise<void> {
  const authorization = `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}`
  const headers = { authorization, 'x-forwarded-for': '203.0.113.7' } // a network without guesses
  const body = new URLSearchParams({ grant_type: 'password', username: spared, password })
  const asked = { method: 'POST', headers, body, signal: AbortSignal.timeout(10_000) }
  const said = await fetch(`${url}/Token`, asked).then(
    async (response) => (response.status === 200 ? '' : `${response.status} ${await response.text()}`),
    (error: unknown) => String(error),
  )
  if (said !== '') faults.addText('a right sign-in afterwards was refused', said)
}

async function endServer({ pid, ended, stop }: Server, faults: Faults): Promise<void> {
  const late = new AbortController()
  try {
    process.kill(pid, 'SIGTERM')
    const code = await Promise.race([ended, sleep(10_000, 'none', { signal: late.signal })])
    if (code !== 0) faults.add(`ten seconds after SIGTERM its exit code is ${code}`)
  } catch {
    faults.add('the process has ended before its time')
  } finally {
    late.abort()
    await stop()
  }
}
