import { randomBytes } from 'node:crypto'
import { answerQuestions } from '../support/answer-questions.ts'
import { loadArgon2 } from '../support/people.ts'
import type { Cost } from '../support/place.ts'

/** How long to check a password, at which cost, and with how many checks at a time. */
export interface HashQuestion {
  readonly cost: Cost
  readonly atOnce: number
  readonly seconds: number
}

/** The number of checks, and the processor time of the whole process. */
export interface HashReply {
  readonly count: number
  readonly seconds: number
  readonly cpuMs: number
}

const argon2 = await loadArgon2()

answerQuestions<HashQuestion, HashReply>(async ({ cost, atOnce, seconds }) => {
  const password = randomBytes(12).toString('base64url')
  const hash = await argon2.hash(password, cost)
  const began = performance.now()
  const cpuBefore = process.cpuUsage()
  const deadline = began + seconds * 1_000
  let count = 0
  const verifyOnAndOn = async () => {
    for (; performance.now() < deadline; count += 1) await argon2.verify(hash, password)
  }
  await Promise.all(Array.from({ length: atOnce }, verifyOnAndOn))
  const { user, system } = process.cpuUsage(cpuBefore)
  return { count, seconds: (performance.now() - began) / 1_000, cpuMs: (user + system) / 1_000 }
})
