import { keepSecret } from './kept-secrets.ts'
import { type Asking, basic, bearer } from './requests.ts'

/** What came back over a real socket. */
export interface Answered {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: any JSON that the server sent; the tests check it
  readonly body: any
}

/** `POST /Token` over HTTP; notes the value it gets as a secret. */
export async function signInAt(url: string, { client, user }: Asking): Promise<Answered> {
  const answered = await ask(`${url}/Token`, {
    method: 'POST',
    headers: basic(client.id, client.secret),
    body: new URLSearchParams({ grant_type: 'password', username: user.name, password: user.password }),
  })
  if (answered.status === 200) keepSecret(answered.body.access_token)
  return answered
}

/** `GET /userinfo` over HTTP. */
export async function whoseAt(url: string, value: string): Promise<Answered> {
  return ask(`${url}/userinfo`, { headers: bearer(value) })
}

/** Any request; a minute at most. */
export async function ask(url: string, init: RequestInit = {}): Promise<Answered> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(60_000) })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) }
}

/** Asks again and again until the answer is as wanted; gives up, saying what came, after `seconds`. */
export async function eventually<T>(
  look: () => Promise<T>,
  accepts: (found: T) => boolean,
  { seconds = 60, pauseMs = 25 } = {},
): Promise<T> {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    const found = await look()
    if (accepts(found)) return found
    if (Date.now() > deadline) throw new Error(`still not so after ${seconds} seconds: ${JSON.stringify(found)}`)
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}
