import { readyCluster } from './cluster.ts'
import { openSocketHost } from './socket-host.ts'
import { supervise } from './supervise.ts'

/** Which folder holds the database, and who hears about it. */
export interface StartOptions {
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
  /** Called with the reason each time that PostgreSQL could not be started again. */
  readonly onConnectionLost?: (cause: Error) => void
}

/** A PostgreSQL that runs on a folder for as long as one of its users has not closed it. */
export interface EmbeddedPostgres {
  /** Options of the driver pg: a unix socket that only this user can reach. */
  readonly connection: EmbeddedConnection
  /** Ends this use, and stops PostgreSQL when it was the last one. Close your connections before. */
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
 * Makes, starts or joins the PostgreSQL that lives in a folder and keeps it running until it is closed. Throws Error with
 * a sentence for the user when the folder cannot be opened.
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

/** Of several calls the first one works; all get its promise. */
export function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined
  return () => {
    done ??= work()
    return done
  }
}
