// What an operator can do about waits, as docs/operations/throttling.md says.
import { expect, test } from 'vitest'
import { defaultThrottleOptions } from '../../src/throttle/throttle.ts'
import { behindProxy, expectSlowDown, guess, newNetwork, signInFrom } from '../support/guesses.ts'
import { addClient, addUser } from '../support/people.ts'
import { readSnippet } from '../support/read-snippet.ts'
import { serverBeside, testServer } from '../support/test-server.ts'

const options = { ...behindProxy, throttle: { ...defaultThrottleOptions, strangersSourceLimit: 1 } }
const { app, database, url } = await testServer(options)

test('deleting the counts ends all waits as soon as the servers have restarted', async () => {
  const [asking, from] = [{ client: await addClient(database), user: await addUser(database) }, newNetwork()]
  expect((await guess(app, asking, from)).statusCode).toBe(400)
  expectSlowDown(await signInFrom(app, asking, from))
  await database.script(readSnippet('operations/throttling.md', 'delete from password_grant.failures'))
  expectSlowDown(await signInFrom(app, asking, from))
  const restarted = await serverBeside(url, options)
  expect((await signInFrom(restarted, asking, from)).statusCode).toBe(200)
})
