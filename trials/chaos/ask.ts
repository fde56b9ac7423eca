import { Agent, request } from 'node:http'

/** One request. */
export interface Question {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

/** The result of a request: an answer, `nobody` if it certainly reached no server, or `lost` if its fate is unknown. */
export type Reply = { readonly status: number; readonly text: string } | 'nobody' | 'lost'

/** Sends a request once, without retries. */
export type Ask = (url: string, question: Question) => Promise<Reply>

const patienceMs = 60_000

/** Creates a sender of requests over persistent connections, until `close`. */
export function createAsking(): { readonly ask: Ask; close(): void } {
  const agent = new Agent({ keepAlive: true })
  const ask: Ask = (url, { method, path, headers, body = '' }) =>
    new Promise((resolve) => {
      const sent = request(url + path, {
        agent,
        method,
        headers: { ...headers, ...(method === 'POST' ? { 'content-length': Buffer.byteLength(body) } : {}) },
        timeout: patienceMs,
      })
      const fail = (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED' ? 'nobody' : 'lost')
      sent.on('error', fail)
      sent.on('timeout', () => sent.destroy(new Error('no answer')))
      sent.on('response', (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part
        })
        response.on('error', fail)
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
        response.on('close', () => resolve('lost')) // has no effect after `end`
      })
      sent.end(body)
    })
  return { ask, close: () => agent.destroy() }
}
