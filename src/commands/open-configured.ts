import { type Config, ConfigError } from '../config/config.ts'
import { describeMistake } from '../config/settings.ts'
import type { Database } from '../database/database.ts'
import { openDatabase } from '../database/postgres.ts'
import { commandTimeouts, type Timeouts } from '../database/timeouts.ts'

/** Who hears of a database's troubles; a command that lasts a moment needs nobody. */
export interface DatabaseListeners {
  readonly applicationName?: string
  readonly timeouts?: Timeouts
  readonly onConnectionLost?: (cause: Error) => void
  readonly onProgress?: (sentence: string) => void
  /** Called, as root with an embedded database only, with the id of the user that PostgreSQL runs as. */
  readonly onAccount?: (uid: number) => void
  readonly onDeaf?: (cause: Error) => void
  readonly onHearing?: () => void
  /** Stops the opening of an embedded database. */
  readonly signal?: AbortSignal
  /** Whether to make an embedded database where there is none; default true. */
  readonly mayCreate?: boolean
}

/** Opens the database the configuration names; the embedded engine is loaded only when it is asked for. */
export async function openConfigured(config: Config, listeners: DatabaseListeners = {}): Promise<Database> {
  if ('url' in config.database) return openDatabase(config.database.url, listeners)
  const { openEmbedded } = await import('../database/embedded/embedded.ts')
  return openEmbedded({ folder: config.database.folder, ...listeners })
}

/** The same for one command: an operator can wait longer than a caller who waits for an HTTP answer. */
export function openForCommand(config: Config, { mayCreate }: { mayCreate: boolean }): Promise<Database> {
  return openConfigured(config, { applicationName: 'password-grant command', timeouts: commandTimeouts, mayCreate })
}

/** The key of the configuration, or the one an embedded database's folder has. Throws ConfigError where there is neither. */
export async function findEncryptionKey(config: Config): Promise<Buffer> {
  if (config.encryptionKey) return config.encryptionKey
  if ('url' in config.database) throw new ConfigError([describeMistake('ENCRYPTION_KEY')])
  const { readyEncryptionKey } = await import('../database/embedded/encryption-key.ts')
  return readyEncryptionKey(config.database.folder)
}
