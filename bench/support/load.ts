import autocannon from 'autocannon'
import { type People, userName } from './people.ts'

/** The result of a load. */
export interface Load {
  readonly count: number
  /** The time from the first request to the last answer. */
  readonly seconds: number
}

type Options = Pick<autocannon.Options, 'url' | 'connections' | 'amount' | 'duration' | 'setupClient'>

/** Sends requests on several connections. Each connection waits for its answer. Rejects unless every answer is a 200. */
export async function runLoad(options: Options): Promise<Load> {
  let count = 0
  let began = 0
  let last = 0
  let refused = 0
  const { errors, timeouts } = await new Promise<autocannon.Result>((resolve, reject) => {
    const settings = { ...options, timeout: 60, sampleInt: 50 } // autocannon's types lack the last one
    const running = autocannon(settings, (error, result) => (error ? reject(error) : resolve(result)))
    running.on('start', () => {
      began = performance.now()
    })
    running.on('response', (_client, status) => {
      count += 1
      last = performance.now()
      if (status !== 200) refused += 1
    })
  })
  if (refused + errors + timeouts > 0) {
    throw new Error(`${options.url}: ${refused} refusals, ${errors} errors, ${timeouts} timeouts of ${count}`)
  }
  return { count, seconds: (last - began) / 1_000 }
}

const connections = 32

/** Measures requests per second. Every connection repeats the given requests in an order of its own. */
export async function measureRate(
  url: string,
  requests: readonly autocannon.Request[],
  seconds: number,
): Promise<number> {
  const load = await runLoad({
    url,
    connections,
    duration: seconds,
    setupClient: (client) => client.setRequests(inAnyOrder(requests)),
  })
  return load.count / load.seconds
}

/** Shuffles the requests, so that the connections do not all ask for the same row at once. */
function inAnyOrder<T>(things: readonly T[]): T[] {
  return things
    .map((thing) => ({ thing, place: Math.random() }))
    .sort((one, other) => one.place - other.place)
    .map(({ thing }) => thing)
}

/** Sends `amount` sign-ins, `inFlight` at a time. Each connection has users of its own. */
export function signIn(url: string, people: People, inFlight: number, amount: number): Promise<Load> {
  return runSignIns(url, people, Math.min(Math.ceil(amount / inFlight), 500), { connections: inFlight, amount })
}

/** Sends as many sign-ins as possible for some seconds, `inFlight` at a time. */
export function signInFor(url: string, people: People, inFlight: number, seconds: number): Promise<Load> {
  return runSignIns(url, people, 100, { connections: inFlight, duration: seconds })
}

/** Sends sign-ins. Each connection repeats `turns` users of its own. */
function runSignIns(url: string, people: People, turns: number, options: Omit<Options, 'url'>): Promise<Load> {
  const setupClient: Options['setupClient'] = (client) =>
    client.setRequests(Array.from({ length: turns }, () => signInRequest(people)))
  return runLoad({ url: `${url}/Token`, ...options, setupClient })
}

function signInRequest({ count, password, authorization }: People) {
  const username = userName(1 + Math.floor(Math.random() * count))
  return {
    method: 'POST' as const,
    path: '/Token',
    headers: { authorization, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ grant_type: 'password', username, password }).toString(),
  }
}

/** Signs in the user with a number and returns the token. */
export async function collectToken(url: string, people: People, number: number): Promise<string> {
  const { authorization, password } = people
  const body = new URLSearchParams({ grant_type: 'password', username: userName(number), password })
  const response = await fetch(`${url}/Token`, { method: 'POST', headers: { authorization }, body })
  if (response.status !== 200) throw new Error(`no token: ${response.status} ${await response.text()}`)
  return ((await response.json()) as { access_token: string }).access_token
}
