import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/**
 * What happens on the way: nothing, answers that come late, answers that never come, answers cut in the middle, resets,
 * or no listener at all; `forgotten` loses everything sent on existing connections, and new ones are clear.
 */
export type Weather = 'clear' | { readonly lateMs: number } | 'silent' | 'cutting' | 'resetting' | 'gone' | 'forgotten'

/** A network between a program and its PostgreSQL. */
export interface DatabaseProxy {
  readonly url: string
  /** From now on, for connections that are there and for new ones; `gone` ends those that are there. */
  become(weather: Weather): void
  close(): Promise<void>
}

/** Opens one on a free port of 127.0.0.1, in clear weather. */
export async function openDatabaseProxy(socketPath: string): Promise<DatabaseProxy> {
  let weather: Weather = 'clear'
  const sockets = new Set<Socket>()
  const forgotten = new WeakSet<Socket>()
  const server = createServer((near) => {
    const far = connect(socketPath)
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => undefined) // 'close' follows
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
    if (weather === 'gone') near.destroy()
    near.on('data', (question) => {
      if (weather !== 'silent' && !forgotten.has(near)) far.write(question)
    })
    far.on('data', (answer) => deliver(near, answer, weather))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const endAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    become: (next) => {
      weather = next === 'forgotten' ? 'clear' : next
      if (next === 'forgotten') for (const socket of sockets) forgotten.add(socket)
      if (next === 'gone') endAll()
    },
    close: async () => {
      endAll()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function deliver(near: Socket, answer: Buffer, weather: Weather): void {
  if (weather === 'clear') near.write(answer)
  else if (weather === 'cutting') near.end(answer.subarray(0, Math.floor(answer.length / 2)), () => near.destroy())
  else if (weather === 'resetting') near.resetAndDestroy()
  else if (typeof weather === 'object') setTimeout(() => near.writable && near.write(answer), weather.lateMs)
}
