import { open } from 'node:fs/promises'

/** A path to a folder that is short enough for a Unix socket in it. Valid until closed. */
export interface SocketHost {
  readonly host: string
  close(): Promise<void>
}

const longestSocketPath = process.platform === 'linux' ? 107 : 103

/**
 * Returns a path under which a client can connect to the socket in `folder`. Throws Error when every such path is too
 * long.
 */
export async function openSocketHost(folder: string): Promise<SocketHost> {
  if (Buffer.byteLength(`${folder}/.s.PGSQL.5432`) <= longestSocketPath) {
    return { host: folder, close: async () => undefined }
  }
  if (process.platform !== 'linux') {
    throw new Error(`The path ${folder} is too long for a socket on this system. Choose a shorter folder.`)
  }
  const handle = await open(folder, 'r')
  return { host: `/proc/self/fd/${handle.fd}`, close: () => handle.close() }
}
