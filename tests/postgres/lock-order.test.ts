import { expect, onTestFinished, test } from 'vitest'
import { removeClient } from '../../src/clients/register-client.ts'
import type { Query } from '../../src/database/database.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { createPasswords } from '../../src/passwords/password.ts'
import { revokeTokensOfClient, revokeTokensOfUser } from '../../src/tokens/revoke-token.ts'
import { removeUser } from '../../src/users/register-user.ts'
import { authenticateUser } from '../support/credentials.ts'
import { freshDatabase, patience } from '../support/fresh-database.ts'
import { addClient, addUser, authenticateClient, cheapPasswords } from '../support/people.ts'
import { takeSeat } from '../support/seats.ts'
import { runOn } from '../support/test-cluster.ts'
import { eventually } from '../support/wire.ts'

const passwords = await createPasswords(cheapPasswords)
const countWaiting = `
select count(*)::integer as count from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock'`
const lockLowest = `
select from password_grant.tokens
where id = (select id from password_grant.tokens order by id limit 1) for update`

/** What ends several tokens, beside something else that does. */
interface Parties {
  readonly userId: string
  readonly userName: string
  readonly clientId: string
  readonly takeOver: (query: Query, device: string) => Promise<unknown>
}
type Ending = (query: Query, parties: Parties) => Promise<unknown>
const endClient: Ending = (query, { clientId }) => revokeTokensOfClient(query, clientId)

test.each<[string, Ending, Ending]>([
  ['seats that give way to a new one', endClient, (query, { takeOver }) => takeOver(query, 'new')],
  ['seats that give way to one of them', endClient, (query, { takeOver }) => takeOver(query, 'label 3')],
  ['a user who is removed', endClient, (query, { userName }) => removeUser(query, userName)],
  [
    'a client that is removed',
    (query, { userId }) => revokeTokensOfUser(query, userId),
    (query, { clientId }) => removeClient(query, clientId),
  ],
])('%s, and parallel changes that end tokens, take their locks in one order', async (_who, one, other) => {
  const { database, url } = await freshDatabase()
  const third = await openDatabase(url, { timeouts: patience })
  onTestFinished(async () => {
    await database.close()
    await third.close()
  })
  const { writes: query, script } = database
  const user = await addUser(database)
  const sitting = await addClient(database, { secret: 'public' })
  const coming = await addClient(database, { secret: 'public' })
  const { userVersion } = await authenticateUser(query, passwords, user.name, user.password)
  const subjectOf = async (id: string) => ({
    userId: user.id,
    userVersion,
    clientId: id,
    clientVersion: (await authenticateClient(query, passwords, { id, secret: null })).credentialVersion,
    lifetimeSeconds: 3600,
  })
  const subject = await subjectOf(sitting.id)
  for (let number = 0; number < 12; number += 1) await takeSeat(query, { ...subject, device: `label ${number}` })
  const newcomer = await subjectOf(coming.id)
  const parties: Parties = {
    userId: user.id,
    userName: user.name,
    clientId: sitting.id,
    takeOver: (through, device) => takeSeat(through, { ...newcomer, device, maxSeats: 1 }),
  }
  const isWaiting = (wanted: number) =>
    eventually(
      async () => (await script<{ count: number }>(countWaiting))[0]?.count,
      (count) => count === wanted,
    )
  const [pending] = await third.transaction(async (_query, script) => {
    await script(lockLowest)
    const first = one(query, parties)
    await isWaiting(1)
    const second = other(query, parties)
    await isWaiting(2)
    return [Promise.allSettled([first, second])] as const // not awaited here: they wait for the commit
  })
  expect((await pending).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled'])
  await Promise.all([database.close(), third.close()]) // a backend reports what it counted at its end
  expect(await runOn(url, [deadlocks])).toEqual([{ count: 0 }])
})

// a retry would hide one
const deadlocks = 'select deadlocks::integer as count from pg_stat_database where datname = current_database()'
