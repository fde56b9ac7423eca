import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { answerQuestions } from '../support/answer-questions.ts'
import { watchCores } from '../support/proc.ts'

/** Requests sent at a fixed rate, whether or not earlier ones have been answered. */
export interface FloodQuestion {
  readonly url: string
  /** The bytes of each request, sent in turn. */
  readonly requests: readonly string[]
  readonly perSecond: number
  readonly seconds: number
  /** Seconds at the start in which requests are sent but not counted. */
  readonly unheardSeconds: number
  /** Maximum number of connections. A request that finds none free is not sent. */
  readonly connections: number
  /** The local address, if it differs from the default. */
  readonly localAddress?: string
}

/** The results of the counted seconds. */
export interface FloodReply {
  /** Requests due in this time. */
  readonly offered: number
  /** How many of these were not sent because no connection was free. */
  readonly unsent: number
  /** Answers with status 200 per second. */
  readonly goodput: number
  /** Answers by status. `0` is a connection that ended or did not answer. */
  readonly answers: Readonly<Record<string, number>>
  /** Milliseconds from the request to the last byte of the answer, by status. */
  readonly ms: Readonly<Record<string, { readonly p50: number; readonly p99: number; readonly max: number }>>
  /** The processor time of this process, as a share of one core. */
  readonly ownCpu: number
}

const tickMs = 4
const patienceMs = 15_000

answerQuestions<FloodQuestion, FloodReply>(flood)

async function flood(question: FloodQuestion): Promise<FloodReply> {
  const { url, requests, perSecond, seconds, unheardSeconds, connections, localAddress } = question
  const { hostname, port } = new URL(url)
  const bytes = requests.map((request) => Buffer.from(request, 'latin1'))
  const idle: Socket[] = []
  const open = new Set<Socket>()
  const times = new Map<string, number[]>()
  let offered = 0
  let unsent = 0
  let good = 0
  let waiting = 0

  const began = performance.now()
  const counts = (moment: number) => moment >= began + unheardSeconds * 1_000 && moment < began + total * 1_000
  const total = unheardSeconds + seconds

  /** Sends one request at a time and reads only the status of the answer, since a flood must leave the cores to the server. */
  function openConnection(): Socket {
    const socket = connect({
      host: hostname,
      port: Number(port),
      noDelay: true,
      ...(localAddress ? { localAddress } : {}),
    })
    open.add(socket)
    socket.on('data', (part) => {
      if (part.toString('latin1', 0, 5) === 'HTTP/') take(socket, part.toString('latin1', 9, 12)) // other data continues an answer
    })
    socket.on('error', () => undefined) // a close event follows
    socket.on('close', () => {
      open.delete(socket)
      const place = idle.indexOf(socket)
      if (place !== -1) idle.splice(place, 1)
      take(socket, '0')
    })
    return socket
  }

  const sentAt = new WeakMap<Socket, number>()

  function take(socket: Socket, status: string): void {
    const sent = sentAt.get(socket)
    if (sent === undefined) return
    const now = performance.now()
    sentAt.delete(socket)
    waiting -= 1
    if (status !== '0') idle.push(socket)
    if (status === '200' && counts(now)) good += 1
    if (!counts(sent)) return
    const ofStatus = times.get(status) ?? []
    times.set(status, ofStatus)
    ofStatus.push(now - sent)
  }

  function send(turn: number): void {
    const now = performance.now()
    if (counts(now)) offered += 1
    const socket = idle.pop() ?? (open.size < connections ? openConnection() : null)
    if (!socket) {
      if (counts(now)) unsent += 1
      return
    }
    sentAt.set(socket, now)
    waiting += 1
    socket.write(bytes[turn % bytes.length] ?? '')
  }

  const coresUsed = watchCores(process.pid)
  for (let turn = 0; turn < total * perSecond; ) {
    const due = Math.min(total * perSecond, ((performance.now() - began) / 1_000) * perSecond)
    for (; turn < due; turn += 1) send(turn)
    await sleep(tickMs)
  }
  const ownCpu = coresUsed()
  for (const end = performance.now() + patienceMs; waiting > 0 && performance.now() < end; ) await sleep(20)
  for (const socket of open) {
    take(socket, '0')
    socket.destroy()
  }
  return {
    offered,
    unsent,
    goodput: good / seconds,
    answers: Object.fromEntries([...times].map(([status, { length }]) => [status, length])),
    ms: Object.fromEntries([...times].map(([status, each]) => [status, summarise(each)])),
    ownCpu,
  }
}

function summarise(times: readonly number[]): { p50: number; p99: number; max: number } {
  const sorted = [...times].sort((one, other) => one - other)
  const percentile = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN
  return { p50: percentile(0.5), p99: percentile(0.99), max: percentile(1) }
}
