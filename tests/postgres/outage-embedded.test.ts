// Any PostgreSQL: the tests bring their own and take it away
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openEmbedded } from '../../src/database/embedded/embedded.ts'
import { readPostmaster } from '../../src/database/embedded/running.ts'
import { temporaryFolder } from '../support/installations.ts'
import { addClient, addUser } from '../support/people.ts'
import { readyServer } from '../support/processes.ts'
import { ask, eventually, signInAt, whoseAt } from '../support/wire.ts'

test('a server whose embedded database is killed reports it, restarts it and loses no token', async () => {
  const folder = join(await temporaryFolder(), 'data')
  const server = await readyServer({ environment: { EMBEDDED_FOLDER: folder } })
  const database = await openEmbedded({ folder })
  const [client, steady, other] = [await addClient(database), await addUser(database), await addUser(database)]
  await database.close()
  const token = (await signInAt(server.url, { client, user: steady })).body.access_token
  const postmaster = await readPostmaster(join(folder, 'cluster'))
  process.kill(postmaster?.pid ?? 0, 'SIGKILL')

  const said = new Set<number>()
  await eventually(
    async () => {
      const { status } = await signInAt(server.url, { client, user: other })
      said.add(status)
      return said.has(503) && status === 200
    },
    (isBack) => isBack,
    { pauseMs: 5 },
  )
  expect([...said].filter((status) => status !== 200)).toEqual([503])
  expect((await whoseAt(server.url, token)).body).toMatchObject({ userName: steady.name })
  expect((await ask(`${server.url}/health/ready`)).status).toBe(200)
  expect((await readPostmaster(join(folder, 'cluster')))?.pid).not.toBe(postmaster?.pid)
  await server.end()
})
