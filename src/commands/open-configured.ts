import type { Config } from '../config.ts'
import type { Database } from '../database/database.ts'
import { openDatabase } from '../database/postgres.ts'

/** Opens the database the configuration names; the embedded engine is loaded only when it is asked for. */
export async function openConfigured(config: Config, onConnectionLost?: (cause: Error) => void): Promise<Database> {
  const listener = onConnectionLost ? { onConnectionLost } : {}
  if ('url' in config.database) return openDatabase(config.database.url, listener)
  const { openEmbedded } = await import('../database/embedded/embedded.ts')
  return openEmbedded({ folder: config.database.folder, ...listener })
}
