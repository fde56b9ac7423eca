import type { Database } from '../database.ts'
import { connectPools, type PostgresOptions } from '../postgres.ts'
import { readyCluster } from './cluster.ts'
import { openSocketHost } from './socket-host.ts'
import { supervise } from './supervise.ts'

/** Which folder holds the database, and who hears about it. */
export interface EmbeddedOptions extends PostgresOptions {
  /** Holds nothing else; made, for its owner only, when missing. */
  readonly folder: string
  /** Whether to make a database where the folder is missing or empty; default true. */
  readonly mayCreate?: boolean
  /** Stops the opening: no PostgreSQL is started after it, and one that was started is stopped again. */
  readonly signal?: AbortSignal
  /** Called, as root only, with the id of the user that PostgreSQL runs as. */
  readonly onAccount?: (uid: number) => void
  /** Called with a sentence for people whenever PostgreSQL had to be started again underneath, and when it is back. */
  readonly onProgress?: (sentence: string) => void
}

/**
 * Opens the PostgreSQL that lives in a folder: makes, starts or joins it, keeps it running, and stops it with its
 * last user. Throws Error with a sentence for the user when the folder cannot be opened.
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<Database> {
  const { folder, signal, onProgress = () => undefined, onConnectionLost = () => undefined } = options
  const cluster = await readyCluster(folder, options.mayCreate)
  if (cluster.account.uid !== undefined) options.onAccount?.(cluster.account.uid)
  const socket = await openSocketHost(cluster.path)
  const supervising = supervise(cluster, socket.host, { onProgress, onConnectionLost }, signal)
  const stopSupervising = await supervising.catch(async (error: unknown) => {
    await socket.close()
    throw error
  })
  const database = connectPools(
    { host: socket.host, port: 5432, user: 'postgres', database: 'postgres', ssl: false },
    options,
  )
  const close = async () => {
    await database.close()
    await stopSupervising()
    await socket.close()
  }
  let closed: Promise<void> | undefined
  return {
    ...database,
    close: () => {
      closed ??= close()
      return closed
    },
  }
}
