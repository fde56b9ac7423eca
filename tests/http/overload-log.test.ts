import { expect, test } from 'vitest'
import { keepSecret, readLog } from '../support/kept-secrets.ts'
import { addClient, cheapPasswords, randomWord } from '../support/people.ts'
import { basic, passwordForm, sendToken } from '../support/requests.ts'
import { testServer } from '../support/test-server.ts'
import { eventually } from '../support/wire.ts'

const passwords = { ...cheapPasswords, memoryKib: 65_536, passes: 4, concurrency: 1, queueLimit: 0 }
const { app, database } = await testServer({ passwords, throttle: false })
const client = await addClient(database)

test('refusals for want of room are a number in the log and not a line each', async () => {
  const stranger = { id: '', name: randomWord(), password: keepSecret(randomWord()) }
  const parts = { headers: basic(client.id, client.secret), body: passwordForm(stranger) }
  const answers = await Promise.all(Array.from({ length: 20 }, () => sendToken(app, parts)))
  const refused = answers.filter(({ statusCode }) => statusCode === 503)
  expect(refused.length).toBeGreaterThan(10)
  const counts = await eventually(
    async () => readLog().filter(({ event }) => event === 'overload'),
    (lines) => lines.reduce((sum, line) => sum + Number(line['refused']), 0) >= refused.length,
  )
  expect(counts.length).toBeLessThan(refused.length)
  expect(counts[0]).toMatchObject({ level: 40, reason: 'hash queue full', dialect: 'webapi' })
  expect(readLog().filter(({ event, code }) => event === 'refusal' && code === 'temporarily_unavailable')).toEqual([])
})
