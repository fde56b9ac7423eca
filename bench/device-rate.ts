import { randomBytes } from 'node:crypto'
import type { BackendQuestion, BackendReply } from './processes/guarded-backend.ts'
import { inRounds, type Measurement } from './support/bench.ts'
import { startHelper, startServer } from './support/children.ts'
import { addDevices, collectDeviceToken, deviceRequest } from './support/devices.ts'
import { figure } from './support/figure.ts'
import { measureRate, runLoad } from './support/load.ts'

const deviceCount = 1_000
const connections = 25
const turnsEach = 2

/**
 * Measures the sign-ins per second of 1,000 devices, without the limit for each device. Also measures the requests per second
 * of a route guarded by their tokens, compared with the same route unguarded.
 */
export const deviceRate: Measurement = async ({ rounds, seconds, cluster }, room) => {
  const url = await cluster.createDatabase(room)
  const ENCRYPTION_KEY = randomBytes(32).toString('base64')
  const server = await startServer(room, { url }, { DIALECTS: 'device', THROTTLE: 'off', ENCRYPTION_KEY })
  const devices = await addDevices(url, ENCRYPTION_KEY, deviceCount)
  const first = Math.floor(Date.now() / 1_000) - 200 // a timestamp is accepted once, and for 300 seconds

  const signInAll = async (round: number) => {
    let connection = 0
    const load = await runLoad({
      url: server.url,
      connections,
      amount: deviceCount * turnsEach,
      setupClient: (client) => {
        const numbers = Array.from(
          { length: deviceCount / connections },
          (_, index) => index * connections + connection,
        )
        connection += 1
        const times = Array.from({ length: turnsEach }, (_, turn) => first + round * turnsEach + turn)
        client.setRequests(times.flatMap((time) => numbers.map((number) => deviceRequest(devices, number, time))))
      },
    })
    return { value: load.count / load.seconds }
  }
  await signInAll(0)
  const signIns = await inRounds(rounds, (round) => signInAll(round + 1))

  const tokens = await inRounds(200, (number) => collectDeviceToken(server.url, devices, number))
  const backend = await startHelper<BackendQuestion, BackendReply>(room, 'guarded-backend')({ databaseUrl: url })
  const requests = (path: string) =>
    tokens.map((token) => ({ method: 'GET' as const, path, headers: { authorization: `Bearer ${token}` } }))
  const rateOf = (path: string, duration = seconds) => measureRate(backend.url, requests(path), duration)
  for (const path of ['/unguarded', '/guarded', '/guarded-without-cache']) await rateOf(path, 1)
  const checks = await inRounds(rounds, async () => ({
    unguarded: await rateOf('/unguarded'),
    guarded: await rateOf('/guarded'),
    uncached: await rateOf('/guarded-without-cache'),
  }))
  const compare = (side: 'guarded' | 'uncached', what: string, target: string) =>
    figure(
      { measurement: 'device-rate', what, unit: '', target },
      checks.map((rates) => ({
        value: rates[side] / rates.unguarded,
        madeOf: { [`${side}PerSecond`]: rates[side], unguardedPerSecond: rates.unguarded },
      })),
    )
  return [
    figure({ measurement: 'device-rate', what: 'device sign-ins', unit: '/s', target: '>= 400' }, signIns),
    compare('guarded', 'device token at a guard / unguarded', '>= 0.5'),
    compare('uncached', 'the same, nothing remembered / unguarded', ''),
  ]
}
