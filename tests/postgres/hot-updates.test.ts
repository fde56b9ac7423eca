// Any PostgreSQL: the tests bring their own
import { expect, onTestFinished, test } from 'vitest'
import { migrate } from '../../src/database/migrate.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { grantPassword } from '../../src/grants/password-grant.ts'
import { SeatTaker } from '../../src/grants/seat-taker.ts'
import { createPasswords } from '../../src/passwords/password.ts'
import { noThrottle } from '../../src/throttle/throttle.ts'
import { createCredentialsFinder } from '../../src/users/find-credentials.ts'
import { patience } from '../support/fresh-database.ts'
import { makeCluster } from '../support/own-cluster.ts'
import { addClient, addUser, authenticateClient, cheapPasswords } from '../support/people.ts'
import { runOn } from '../support/test-cluster.ts'
import { eventually } from '../support/wire.ts'

test.each([
  { usersCount: 150, rounds: 10, atOnce: 16, connections: 4 },
  // sign-ins of one user that wait for each other in the database would keep old versions alive
  { usersCount: 50, rounds: 101, atOnce: 64, connections: 64 },
])('$atOnce parallel sign-ins of $usersCount users update their rows in place', async (load) => {
  const { usersCount, rounds, atOnce, connections } = load
  // in one of its own: a long transaction of another test, in any database, would keep old versions from being pruned
  const cluster = await makeCluster()
  onTestFinished(cluster.remove)
  await cluster.start()
  const { url } = cluster
  const database = await openDatabase(url, { timeouts: patience, connections })
  await migrate(database)
  const passwords = await createPasswords(cheapPasswords)
  const client = await authenticateClient(database.writes, passwords, await addClient(database))
  const users = await database.transaction(async (query) => {
    const added = []
    while (added.length < usersCount) added.push(await addUser({ ...database, writes: query }))
    return added
  })
  const tools = {
    database,
    findCredentials: createCredentialsFinder(database.writes),
    passwords,
    throttle: noThrottle,
    seats: new SeatTaker(database, noThrottle),
    lifetimeSeconds: 3600,
    maxSeats: 50,
    signing: null,
    inBackground: () => undefined,
  }

  const turns = Array.from({ length: rounds }, () => users).flat()
  const signInInTurn = async () => {
    for (let user = turns.pop(); user; user = turns.pop()) {
      const asked = { grant: 'password', username: user.name, password: user.password, device: '' } as const
      await grantPassword(tools, client, asked, { network: '', signal: new AbortController().signal })
    }
  }
  await Promise.all(Array.from({ length: atOnce }, signInInTurn))
  await database.close() // a backend reports what it counted at its end

  const { updated, hot, bytes } = await eventually(
    () => countUpdates(url),
    ({ updated }) => updated === usersCount * (rounds - 1),
  )
  expect(hot / updated).toBeGreaterThanOrEqual(0.9) // nine of ten touch no index, so neither table nor index grows
  expect(bytes).toBeLessThan(100 * 1024)
})

async function countUpdates(url: string): Promise<{ updated: number; hot: number; bytes: number }> {
  const [row] = await runOn(url, [
    `select n_tup_upd::integer as updated, n_tup_hot_upd::integer as hot,
      pg_relation_size(relid)::integer as bytes
    from pg_stat_user_tables where relid = 'password_grant.tokens'::regclass`,
  ])
  return row as { updated: number; hot: number; bytes: number }
}
