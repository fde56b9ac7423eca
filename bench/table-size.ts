import { inRounds, type Measurement } from './support/bench.ts'
import { type Server, startServer } from './support/children.ts'
import { type Cluster, onDatabase } from './support/cluster.ts'
import { figure } from './support/figure.ts'
import { signIn } from './support/load.ts'
import { addPeople, type People } from './support/people.ts'
import { costVariables, trivialCost } from './support/place.ts'
import { cpuMs } from './support/proc.ts'
import type { Room } from './support/room.ts'

const few = 10_000
const many = 1_000_000
const inFlight = 16

/** Compares the cost of a sign-in among a million users, each with a token, with that among ten thousand. */
export const tableSize: Measurement = async ({ rounds, seconds, cluster }, room) => {
  const small = await startWithUsers(room, cluster, few)
  const large = await startWithUsers(room, cluster, many)
  const measure = async ({ server, people }: Side, amount: number) => {
    const cpuBefore = cpuMs(server.pid)
    const load = await signIn(server.url, people, inFlight, amount)
    return { perSecond: load.count / load.seconds, cpu: (cpuMs(server.pid) - cpuBefore) / load.count }
  }
  let amount = 1_000
  const results = await inRounds(rounds + 1, async (round) => {
    const sides = round % 2 === 0 ? [small, large] : [large, small] // each goes first in turn
    const [first, second] = [await measure(sides[0] as Side, amount), await measure(sides[1] as Side, amount)]
    amount = Math.ceil(first.perSecond * seconds)
    return round % 2 === 0 ? { small: first, large: second } : { small: second, large: first }
  })
  const measured = results.slice(1) // the first round only warms up and finds the amount
  const line = (what: string, target: string) => ({ measurement: 'table-size', what, unit: '', target })
  return [
    figure(
      line('sign-ins/s, 1,000,000 users / 10,000', '>= 0.9'),
      measured.map(({ small, large }) => ({
        value: large.perSecond / small.perSecond,
        madeOf: { many: large.perSecond, few: small.perSecond },
      })),
    ),
    figure(
      line('server cpu a sign-in, 1,000,000 users / 10,000', '<= 1.1'),
      measured.map(({ small, large }) => ({
        value: large.cpu / small.cpu,
        madeOf: { manyMs: large.cpu, fewMs: small.cpu },
      })),
    ),
  ]
}

interface Side {
  readonly server: Server
  readonly people: People
}

async function startWithUsers(room: Room, cluster: Cluster, count: number): Promise<Side> {
  const url = await cluster.createDatabase(room)
  const server = await startServer(room, { url }, costVariables(trivialCost))
  const people = await addPeople({ url }, url, count, trivialCost)
  await onDatabase(url, async (database) => {
    await database.query(
      `insert into password_grant.tokens (id, user_id, device, client_id, secret_hash, issued_at, expires_at)
      select gen_random_uuid(), id, '', 'bench', sha256(id::text::bytea), now(), now() + interval '1 day'
      from password_grant.users`,
    )
    await database.query('vacuum analyze')
    await database.query('checkpoint')
  })
  return { server, people }
}
