import { type Config, ConfigError } from '../config/config.ts'
import { describeMistake } from '../config/settings.ts'
import type { Database } from '../database/database.ts'
import { openDatabase } from '../database/postgres.ts'
import { commandTimeouts, type Timeouts } from '../database/timeouts.ts'

/** Listeners to the state of a database. A short command needs none. */
export interface DatabaseListeners {
  readonly applicationName?: string
  readonly timeouts?: Timeouts
  readonly onConnectionLost?: (cause: Error) => void
  readonly onProgress?: (sentence: string) => void
  /** Receives the id of the user that an embedded PostgreSQL runs as. Called only when this process runs as root. */
  readonly onAccount?: (uid: number) => void
  readonly onDeaf?: (cause: Error) => void
  readonly onHearing?: () => void
  /** Aborts the start of an embedded database. */
  readonly signal?: AbortSignal
  /** Whether to create a missing embedded database. Default: true. */
  readonly mayCreate?: boolean
}

/** Opens the configured database. Loads the embedded PostgreSQL only when the configuration names a folder. */
export async function openConfigured(config: Config, listeners: DatabaseListeners = {}): Promise<Database> {
  if ('url' in config.database) return openDatabase(config.database.url, listeners)
  const { openEmbedded } = await import('../database/embedded/embedded.ts')
  return openEmbedded({ folder: config.database.folder, ...listeners })
}

/** Opens the configured database for one command, with longer timeouts: no HTTP request waits for its answer. */
export function openForCommand(config: Config, { mayCreate }: { mayCreate: boolean }): Promise<Database> {
  return openConfigured(config, { applicationName: 'password-grant command', timeouts: commandTimeouts, mayCreate })
}

/**
 * Returns the configured key, or the one in an embedded database's folder. Throws ConfigError when there is neither.
 */
export async function findEncryptionKey(config: Config): Promise<Buffer> {
  if (config.encryptionKey) return config.encryptionKey
  if ('url' in config.database) throw new ConfigError([describeMistake('ENCRYPTION_KEY')])
  const { readyEncryptionKey } = await import('../database/embedded/encryption-key.ts')
  return readyEncryptionKey(config.database.folder)
}
