import type { Config } from '../config.ts'
import type { Database } from '../database/database.ts'
import { openDatabase } from '../database/postgres.ts'

/** Who hears of a database's troubles; a command that lasts a moment needs nobody. */
export interface DatabaseListeners {
  readonly onConnectionLost?: (cause: Error) => void
  readonly onProgress?: (sentence: string) => void
  readonly onDeaf?: (cause: Error) => void
  readonly onHearing?: () => void
}

/** Opens the database the configuration names; the embedded engine is loaded only when it is asked for. */
export async function openConfigured(config: Config, listeners: DatabaseListeners = {}): Promise<Database> {
  if ('url' in config.database) return openDatabase(config.database.url, listeners)
  const { openEmbedded } = await import('../database/embedded/embedded.ts')
  return openEmbedded({ folder: config.database.folder, ...listeners })
}
