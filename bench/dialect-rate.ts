import { randomBytes } from 'node:crypto'
import { inRounds, type Measurement } from './support/bench.ts'
import { type Server, startServer } from './support/children.ts'
import { type Figure, figure } from './support/figure.ts'
import { runLoad } from './support/load.ts'
import { addPeople, type People, userName } from './support/people.ts'
import { costVariables, defaultCost, trivialCost } from './support/place.ts'
import { cpuMs } from './support/proc.ts'

const form = { 'content-type': 'application/x-www-form-urlencoded' }
const grant_type = 'password'

/** The sign-in request of each dialect. */
const requests: Readonly<Record<string, (people: People, username: string) => object>> = {
  webapi: ({ password, authorization }, username) => ({
    path: '/Token',
    headers: { ...form, authorization },
    body: new URLSearchParams({ grant_type, username, password }).toString(),
  }),
  'webapi-session': ({ password }, username) => ({
    path: '/v2/token',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ grant_type, userName: username, password, clientKey: 'bench' }),
  }),
  'webapi-session in XML': ({ password }, userName) => ({
    path: '/v2/token',
    headers: { 'content-type': 'application/xml', accept: 'application/xml' },
    body: writeXml({ grant_type, password, userName }),
  }),
  envelope: ({ password }, username) => ({
    path: '/v1/oauth/',
    headers: form,
    body: new URLSearchParams({ username, password, 'device-info': 'bench' }).toString(),
  }),
}

function writeXml(fields: Record<string, string>): string {
  const members = Object.entries(fields).map(([name, value]) => `<${name}>${value}</${name}>`)
  const namespace = 'http://schemas.datacontract.org/2004/07/Yindo.DAL.Types'
  return `<OAuthRequest xmlns="${namespace}">${members.join('')}</OAuthRequest>`
}

const inFlight = 8

/** Measures the sign-ins per second of each password dialect, compared with `webapi`. A trivial hash shows the dialect's cost. */
export const dialectRate: Measurement = async ({ rounds, seconds, cluster }, room) => {
  const figures: Figure[] = []
  for (const { cost, named, target } of costs) {
    const where = { url: await cluster.createDatabase(room) }
    const server = await startServer(room, where, {
      ...costVariables(cost),
      DIALECTS: 'webapi,webapi-session,envelope',
      ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    })
    const people = await addPeople(where, where.url, 200, cost)
    const names = Object.keys(requests)
    for (const name of names) await signInBy(server, name, people, 1)
    const results = await inRounds(rounds, async (round) => {
      const rates: Record<string, Rate> = {}
      const turn = [...names.slice(round % names.length), ...names.slice(0, round % names.length)] // each dialect goes first in turn
      for (const name of turn) rates[name] = await signInBy(server, name, people, seconds)
      return rates
    })
    for (const name of names.filter((other) => other !== 'webapi')) {
      figures.push(
        figure(
          { measurement: 'dialect-rate', what: `${name} / webapi, ${named}`, unit: '', target },
          results.map((rates) => compare(rates[name] as Rate, rates['webapi'] as Rate)),
        ),
      )
    }
    await server.stop()
  }
  return figures
}

const costs = [
  { cost: defaultCost, named: 'default hash', target: '>= 0.95' },
  { cost: trivialCost, named: 'trivial hash', target: '' },
] as const

interface Rate {
  readonly perSecond: number
  readonly cpuUs: number
}

function compare(mine: Rate, webapi: Rate) {
  return {
    value: mine.perSecond / webapi.perSecond,
    madeOf: {
      perSecond: mine.perSecond,
      webapiPerSecond: webapi.perSecond,
      cpuUs: mine.cpuUs,
      webapiCpuUs: webapi.cpuUs,
    },
  }
}

async function signInBy(server: Server, name: string, people: People, seconds: number): Promise<Rate> {
  const write = requests[name] as (typeof requests)[string] // one of their names
  const cpuBefore = cpuMs(server.pid)
  const load = await runLoad({
    url: server.url,
    connections: inFlight,
    duration: seconds,
    setupClient: (client) =>
      client.setRequests(
        Array.from({ length: 50 }, () => ({
          method: 'POST' as const,
          ...write(people, userName(1 + Math.floor(Math.random() * people.count))),
        })),
      ),
  })
  return { perSecond: load.count / load.seconds, cpuUs: ((cpuMs(server.pid) - cpuBefore) * 1_000) / load.count }
}
