import { readyCluster } from './cluster.ts'
import { openSocketHost } from './socket-host.ts'
import { supervise } from './supervise.ts'

/** The folder of an embedded PostgreSQL, and the listeners to its state. */
export interface StartOptions {
  /** A folder for the database alone. Created, for its owner only, when missing. */
  readonly folder: string
  /** Whether to create a database when the folder is missing or empty. Default: true. */
  readonly mayCreate?: boolean
  /** Aborts the start: prevents a later start of PostgreSQL, and stops one that has begun. */
  readonly signal?: AbortSignal
  /** Receives the id of the user that PostgreSQL runs as. Called only when this process runs as root. */
  readonly onAccount?: (uid: number) => void
  /** Receives a sentence for people when PostgreSQL has stopped unexpectedly, and when it is back. */
  readonly onProgress?: (sentence: string) => void
  /** Receives the reason each time that PostgreSQL could not be started again. */
  readonly onConnectionLost?: (cause: Error) => void
}

/** A PostgreSQL that runs on a folder until all programs that use it have closed it. */
export interface EmbeddedPostgres {
  /** Connection options for the driver pg: a Unix socket that only this user can reach. */
  readonly connection: EmbeddedConnection
  /** Ends this use, and stops PostgreSQL after the last one. Close your connections first. */
  close(): Promise<void>
}

/** How the driver pg reaches the database. */
export interface EmbeddedConnection {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly database: string
  readonly ssl: false
}

/**
 * Creates, starts or joins the PostgreSQL in a folder, and keeps it running until it is closed. Throws Error with a
 * sentence for the user when the folder cannot be opened.
 */
export async function startEmbedded(options: StartOptions): Promise<EmbeddedPostgres> {
  const { folder, signal, onProgress = () => undefined, onConnectionLost = () => undefined } = options
  const cluster = await readyCluster(folder, options.mayCreate)
  if (cluster.account.uid !== undefined) options.onAccount?.(cluster.account.uid)
  const socket = await openSocketHost(cluster.path)
  const supervising = supervise(cluster, socket.host, { onProgress, onConnectionLost }, signal)
  const stopSupervising = await supervising.catch(async (error: unknown) => {
    await socket.close()
    throw error
  })
  return {
    connection: { host: socket.host, port: 5432, user: 'postgres', database: 'postgres', ssl: false },
    close: once(async () => {
      await stopSupervising()
      await socket.close()
    }),
  }
}

/** Runs `work` at the first call. Every call returns that promise. */
export function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined
  return () => {
    done ??= work()
    return done
  }
}
