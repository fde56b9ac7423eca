import type { Database } from '../database.ts'
import { connectLanes, type PostgresOptions } from '../postgres.ts'
import { once, type StartOptions, startEmbedded } from './start-embedded.ts'

/** Which folder holds the database, how it is used, and who hears about it. */
export interface EmbeddedOptions extends Omit<StartOptions, 'onConnectionLost'>, PostgresOptions {}

/**
 * Opens the PostgreSQL that lives in a folder: makes, starts or joins it, keeps it running, and stops it with its
 * last user. Throws Error with a sentence for the user when the folder cannot be opened.
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<Database> {
  const postgres = await startEmbedded(options)
  const database = connectLanes(postgres.connection, options)
  const close = once(async () => {
    await database.close()
    await postgres.close()
  })
  return { ...database, close }
}
