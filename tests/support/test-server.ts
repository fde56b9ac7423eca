import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import type { Database } from '../../src/database/database.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { webapi } from '../../src/dialects/webapi.ts'
import { createServer, type ServerOptions } from '../../src/server.ts'
import { freshDatabase, patience } from './fresh-database.ts'
import { logLines } from './kept-secrets.ts'
import { cheapPasswords } from './people.ts'

/** What a server is told unless a test says otherwise; nothing is remembered, so that every test asks the database. */
export const plainOptions: ServerOptions = {
  trustProxy: [],
  dialects: [webapi],
  lifetimeSeconds: 1_209_600,
  passwords: cheapPasswords,
  publicUrl: undefined,
  corsOrigins: [],
  tokenCacheSeconds: 0,
  outageLeaseSeconds: 0,
  docs: false,
  maxSeatsPerUser: 50,
  throttle: true,
  encryptionKey: randomBytes(32),
}

/**
 * The standalone server on a database of its own, closed after the file; then every line it logged, at the
 * finest level, is searched for the secrets the file used.
 */
export async function testServer(
  options: Partial<ServerOptions> = {},
): Promise<{ app: FastifyInstance; database: Database; url: string }> {
  const { database, url } = await freshDatabase()
  const app = await createServer(database, pino({ level: 'trace' }, logLines), {
    ...plainOptions,
    ...options,
    passwords: { ...cheapPasswords, ...options.passwords },
  })
  await app.ready()
  open.push({ app, database })
  return { app, database, url }
}

/** Another server on a database that is there already, or away; closed after the file. */
export async function serverBeside(url: string, options: Partial<ServerOptions>): Promise<FastifyInstance> {
  const database = await openDatabase(url, { timeouts: patience })
  const app = await createServer(database, pino({ level: 'trace' }, logLines), { ...plainOptions, ...options })
  await app.ready()
  open.push({ app, database })
  return app
}

const open: { app: FastifyInstance; database: Database }[] = []

/** Closes the servers of a test file, those too that a test has started. */
export async function closeServers(): Promise<void> {
  for (const { app, database } of open.splice(0)) {
    await app.close()
    await database.close()
  }
}
