// The effect of a right password on the throttle while another session locks the rows it needs.
import { describe, expect, test } from 'vitest'
import { behindProxy, expectSlowDown, guess, newNetwork, signInFrom } from '../support/guesses.ts'
import { addClient, addUser } from '../support/people.ts'
import { askWhose } from '../support/requests.ts'
import { countSessions } from '../support/test-cluster.ts'
import { testServer } from '../support/test-server.ts'
import { eventually } from '../support/wire.ts'

const { app, database, url } = await testServer(behindProxy)
const client = await addClient(database)

const beginWait = "update password_grant.failures set wait_until = now() + interval '1 minute'"
const endWait = 'update password_grant.failures set wait_until = failed_at'
const waiting: [string, string][] = [
  ['the user', 'select from password_grant.users for update'],
  ["the pair's failures", 'select from password_grant.failures for update'],
]

describe.each(waiting)('a right password that waits for the row of %s', (_, hold) => {
  /** Signs in while the row is held, and lets it go when `change` has been made. */
  async function signInDuring(change: string) {
    await database.script('delete from password_grant.failures')
    const [asking, from] = [{ client, user: await addUser(database) }, newNetwork()]
    const token = (await signInFrom(app, asking, newNetwork())).json().access_token
    await guess(app, asking, from)
    const { answer } = await database.transaction(async (_query, script) => {
      await script(hold)
      const answer = signInFrom(app, asking, from)
      await eventually(
        () => countSessions(url, "wait_event_type = 'Lock'"),
        (count) => count === 1,
      )
      await script(change)
      return { answer } // waited for when the row is free
    })
    const networks = 'select from password_grant.known_networks where user_id = $1'
    return {
      answer: await answer,
      token,
      failures: await database.script('select count from password_grant.failures'),
      networks: (await database.script(networks, [asking.user.id])).length,
    }
  }

  test('takes no seat and changes no count when a wait begins meanwhile', async () => {
    const { answer, token, failures, networks } = await signInDuring(beginWait)
    expectSlowDown(answer)
    expect((await askWhose(app, token)).statusCode).toBe(200)
    expect(failures).toEqual([{ count: 1 }])
    expect(networks).toBe(1)
  })

  test('signs in when no wait begins, clears its failures and makes its network known', async () => {
    const { answer, token, failures, networks } = await signInDuring(endWait)
    expect(answer.statusCode).toBe(200)
    expect((await askWhose(app, token)).statusCode).toBe(401)
    expect(failures).toEqual([])
    expect(networks).toBe(2)
  })
})
