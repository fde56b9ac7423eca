import type { Database } from '../database.ts'
import { connectLanes, type PostgresOptions } from '../postgres.ts'
import { once, type StartOptions, startEmbedded } from './start-embedded.ts'

/** The folder of an embedded database, the options of its connections, and the listeners to its state. */
export interface EmbeddedOptions extends Omit<StartOptions, 'onConnectionLost'>, PostgresOptions {}

/**
 * Opens the PostgreSQL in a folder: creates, starts or joins it, keeps it running, and stops it when its last user
 * closes it. Throws Error with a sentence for the user when the folder cannot be opened.
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
