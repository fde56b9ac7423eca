import { open } from 'node:fs/promises'

/** A name for a folder that is short enough for the unix socket in it; valid until closed. */
export interface SocketHost {
  readonly host: string
  close(): Promise<void>
}

const longestSocketPath = process.platform === 'linux' ? 107 : 103

/** Names `folder` so that a client can connect in it. Throws Error for a long path where no shorter name exists. */
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
