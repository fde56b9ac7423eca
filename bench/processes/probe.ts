import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { answerQuestions } from '../support/answer-questions.ts'
import { watchCores } from '../support/proc.ts'

/** The URLs to request in turn, the rate for each, and the duration. */
export interface ProbeQuestion {
  readonly urls: readonly string[]
  readonly token: string
  readonly perSecond: number
  readonly seconds: number
}

/** The result of a probe. */
export interface ProbeReply {
  /** The 99th percentile of each URL, in milliseconds. */
  readonly p99: readonly number[]
  /** The processor time of this process, as a share of one core. */
  readonly ownCpu: number
}

answerQuestions<ProbeQuestion, ProbeReply>(async ({ urls, token, perSecond, seconds }) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  const headers = { authorization: `Bearer ${token}` }
  const answers: Promise<number>[][] = urls.map(() => [])
  const coresUsed = watchCores(process.pid)
  const began = performance.now()
  for (let turn = 0; turn < seconds * perSecond * urls.length; turn += 1) {
    const which = turn % urls.length
    answers[which]?.push(timeAnswer(urls[which] ?? '', agent, headers))
    await sleep(Math.max(0, began + ((turn + 1) * 1_000) / (perSecond * urls.length) - performance.now()))
  }
  const times = await Promise.all(answers.map((each) => Promise.all(each)))
  agent.destroy()
  return { p99: times.map(p99), ownCpu: coresUsed() }
})

function timeAnswer(url: string, agent: Agent, headers: Record<string, string>): Promise<number> {
  const began = performance.now()
  return new Promise((resolve, reject) => {
    const request = get(url, { agent, headers }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`${url} answered ${response.statusCode}`))
      response.resume().on('end', () => resolve(performance.now() - began))
    })
    request.on('error', reject)
  })
}

function p99(times: readonly number[]): number {
  const sorted = [...times].sort((one, other) => one - other)
  return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN
}
