import { once } from 'node:events'
import { connect } from 'node:net'

/** An answer, and its time from the first byte sent to the last byte received. */
export interface TimedAnswer {
  readonly ms: number
  readonly status: number
  readonly text: string
}

/** A persistent connection for one request at a time. */
export interface TimedConnection {
  ask(request: string): Promise<TimedAnswer>
  close(): void
}

/** Opens a connection, from another loopback address if one is given. Its requests reject when it is closed. */
export async function openTimedConnection(url: string, localAddress?: string): Promise<TimedConnection> {
  const { hostname, port } = new URL(url)
  const socket = connect({
    host: hostname,
    port: Number(port),
    noDelay: true,
    ...(localAddress ? { localAddress } : {}),
  })
  socket.setEncoding('latin1') // a character is a byte, as content-length counts
  await once(socket, 'connect')
  return {
    ask: (request) =>
      new Promise((resolve, reject) => {
        let text = ''
        const onClose = () => reject(new Error(`the connection was closed after: ${text}`))
        const onData = (part: string) => {
          const now = performance.now()
          text += part
          if (!isWhole(text)) return
          socket.off('data', onData).off('close', onClose)
          resolve({ ms: now - began, status: Number(text.slice(9, 12)), text })
        }
        socket.on('data', onData).once('close', onClose)
        const began = performance.now()
        socket.write(request, 'latin1')
      }),
    close: () => socket.destroy(),
  }
}

function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n')
  if (end === -1) return false
  const length = /^content-length: (\d+)\r$/im.exec(text)?.[1]
  if (length === undefined) throw new Error(`an answer without a length: ${text}`)
  return text.length - end - 4 >= Number(length)
}

/** Writes the bytes of a POST request. */
export function writeRequest(path: string, headers: Readonly<Record<string, string>>, body: string): string {
  const lines = Object.entries({ host: 'localhost', ...headers, 'content-length': String(Buffer.byteLength(body)) })
  return [`POST ${path} HTTP/1.1`, ...lines.map(([name, value]) => `${name}: ${value}`), '', body].join('\r\n')
}
