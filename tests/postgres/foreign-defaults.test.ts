import { pino } from 'pino'
import { expect, inject, onTestFinished, test } from 'vitest'
import { migrate } from '../../src/database/migrate.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { createServer } from '../../src/server.ts'
import { freshDatabase, patience } from '../support/fresh-database.ts'
import { addClient, addUser, cheapPasswords, randomWord } from '../support/people.ts'
import { askForToken, askWhose } from '../support/requests.ts'
import { databaseUrl, runOn } from '../support/test-cluster.ts'
import { plainOptions } from '../support/test-server.ts'

test('a database with custom settings works like any other', async () => {
  const { database: first, url } = await freshDatabase({ isMigrated: false })
  await first.close()
  const name = new URL(url).pathname.slice(1)
  await runOn(url, [
    `alter database ${name} set datestyle = 'German'`,
    `alter database ${name} set timezone = 'America/St_Johns'`,
    `alter database ${name} set default_transaction_isolation = 'repeatable read'`,
    `alter database ${name} set standard_conforming_strings = off`,
    `alter database ${name} set bytea_output = 'escape'`,
  ])
  const database = await openDatabase(url, { timeouts: patience })
  onTestFinished(() => database.close())
  await migrate(database)
  const app = await createServer(database, pino({ level: 'silent' }), {
    ...plainOptions,
    passwords: { ...cheapPasswords, concurrency: 8 },
  })
  onTestFinished(() => app.close())
  const asking = {
    client: await addClient(database, { secret: { chosen: 'a chosen secret of a client' } }),
    user: await addUser(database),
  }
  const answers = await Promise.all(Array.from({ length: 60 }, () => askForToken(app, asking)))
  expect(answers.map(({ statusCode }) => statusCode)).toEqual(answers.map(() => 200))
  const told = await Promise.all(answers.map((answer) => askWhose(app, answer.json().access_token)))
  const live = told.filter(({ statusCode }) => statusCode === 200)
  expect(live).toHaveLength(1)
  const { '.issued': issued, '.expires': expires } = live[0]?.json() ?? {}
  expect(Date.parse(expires) - Date.parse(issued)).toBe(1_209_600_000)
})

test('a database in another encoding is refused with a message', async () => {
  const clusterUrl = inject('clusterUrl')
  const name = `${inject('template').replace(/_template$/, '')}_${randomWord()}`
  const words = `template template0 encoding 'LATIN1' locale_provider libc lc_collate 'C' lc_ctype 'C'`
  await runOn(clusterUrl, [`create database ${name} ${words}`])
  const database = await openDatabase(databaseUrl(clusterUrl, name))
  onTestFinished(() => database.close())
  await expect(migrate(database)).rejects.toThrow(
    'The database has the encoding LATIN1. Create one with the encoding UTF8.',
  )
})
