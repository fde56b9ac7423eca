import { connect } from 'node:net'
import { cpuMs } from '../../bench/support/proc.ts'
import type { Repetition } from './repetitions.ts'

/** How many times the cost of an ordinary refusal a request may cost. */
const maxTimes = 10

/** The server whose processor time is measured, and a request that it refuses. */
export interface Measured {
  readonly url: string
  readonly pid: number
  readonly ordinary: Buffer
}

/** The costs of repetitions. */
export interface Costs {
  readonly ordinaryMs: number
  readonly measured: number
  readonly dearest: Cost
  /** The repetitions that cost too much. */
  readonly tooDear: readonly Cost[]
}

/** A repetition, and its processor time for each request in milliseconds. */
export interface Cost extends Repetition {
  readonly ms: number
}

/** The numbers of requests for each measurement. The kernel counts in steps of 10 ms, so suspects are measured again. */
const looks = [12, 60, 120] as const
const ordinaryCount = 300

/** Sends repetitions and measures the server's processor time for each. */
export async function measureCosts(server: Measured, repetitions: readonly Repetition[]): Promise<Costs> {
  await cost(server, server.ordinary, ordinaryCount) // warms up, so that the code is compiled
  let ordinaryMs = await cost(server, server.ordinary, ordinaryCount)
  const costs: Cost[] = []
  const tooDear: Cost[] = []
  for (const repetition of repetitions) {
    let ms = Number.POSITIVE_INFINITY
    for (const look of looks) {
      if (ms <= ordinaryMs * maxTimes) break
      ms = await cost(server, repetition.write(), look)
    }
    if (ms > ordinaryMs * maxTimes)
      ordinaryMs = Math.max(ordinaryMs, await cost(server, server.ordinary, ordinaryCount)) // the machine may have been busy
    costs.push({ ...repetition, ms })
    if (ms > ordinaryMs * maxTimes) tooDear.push({ ...repetition, ms })
  }
  const dearest = costs.reduce((one, other) => (other.ms > one.ms ? other : one))
  return { ordinaryMs, measured: costs.length, dearest, tooDear }
}

async function cost({ url, pid }: Measured, bytes: Buffer, times: number): Promise<number> {
  const before = cpuMs(pid)
  for (let sent = 0; sent < times; sent += 4) await Promise.all(Array.from({ length: 4 }, () => sendOnce(url, bytes)))
  return (cpuMs(pid) - before) / (Math.ceil(times / 4) * 4)
}

/** Sends a request on its own connection, and waits until the server answers or closes it. */
async function sendOnce(url: string, bytes: Buffer): Promise<void> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  socket.on('error', () => undefined) // the server may close the connection before it has read everything
  socket.setTimeout(10_000, () => socket.destroy())
  socket.on('data', () => undefined)
  socket.end(bytes)
  await new Promise((resolve) => socket.on('close', resolve))
}
