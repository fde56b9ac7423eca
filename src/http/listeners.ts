import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** How the server listens. */
export interface ListenOptions {
  /** 0 takes any free port, the same one on each address. */
  readonly port: number
  /** Connections that may wait to be accepted. */
  readonly backlog: number
}

/**
 * Listens on all addresses, and logs each. All of them feed one HTTP server, so that its time-outs, its refusals and its
 * end hold for every connection alike. Call it before `app.ready()`. Rejects when the first address cannot be bound, and
 * warns about others: a machine may know the name of an address and not have the address.
 */
export async function listen(
  app: FastifyInstance,
  [first = 'localhost', ...others]: readonly string[],
  { port, backlog }: ListenOptions,
): Promise<void> {
  const doors = others.map((host) => ({ host, door: openDoor(app) }))
  await app.listen({ host: first, port, backlog, listenTextResolver: (address) => `ready on ${address}` })
  const bound = app.server.address() as AddressInfo // it listens on a port, not on a path
  for (const { host, door } of doors) {
    door.listen({ host, port: bound.port, backlog })
    await once(door, 'listening').then(
      () => app.log.info(`ready on ${writeOrigin(door)}`),
      (error: Error) => app.log.warn({ event: 'listening', reason: error.message }, `not listening on ${host}`),
    )
  }
}

/** The addresses to listen on: of `localhost` all that it has, as a client may choose any; another host as it is. */
export async function addressesOf(host: string): Promise<string[]> {
  if (host !== 'localhost') return [host]
  const found = await lookup(host, { all: true })
  return [...new Set(found.map(({ address }) => address))]
}

/** A listener whose connections the HTTP server treats as its own; closing the app closes it and waits for them. */
function openDoor(app: FastifyInstance): Server {
  const likeHttp = { allowHalfOpen: true, noDelay: true }
  const door = createServer(likeHttp, (socket) => app.server.emit('connection', socket))
  let closed: Promise<void> | null = null
  app.addHook('preClose', async () => {
    closed = new Promise((resolve) => door.close(() => resolve()))
  })
  app.addHook('onClose', async () => {
    await closed
  })
  return door
}

function writeOrigin(door: Server): string {
  const { address, family, port } = door.address() as AddressInfo
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}
