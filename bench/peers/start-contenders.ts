import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startHelperAt, startServer } from '../support/children.ts'
import type { Cluster } from '../support/cluster.ts'
import { signIn } from '../support/load.ts'
import { addPeople, type People } from '../support/people.ts'
import { type Cost, costVariables, defaultCost, trivialCost } from '../support/place.ts'
import { residentMib } from '../support/proc.ts'
import type { Room } from '../support/room.ts'
import { fillPeers } from './fill-peers.ts'

/** A running server, and the users who can sign in there. */
export interface Place {
  readonly url: string
  readonly pid: number
  readonly people: People
}

/** A server that runs twice: with the cheapest hash and with the default hash. */
export interface Contender {
  readonly name: string
  readonly trivial: Place
  readonly usual: Place
  /** The memory of the server with the default hash, before the load. */
  readonly idleMib: number
}

/** The name of this product in the table. */
export const ours = 'password-grant'

/** The libraries to compare, by their files in `servers/`. */
export const libraries = ['node-oauth', 'ts-oauth'] as const

/** The minimal sign-in: a yardstick, not a product. */
export const prototype = 'prototype'

/** Starts this server and the peers in `folder`, and warms them up. */
export async function startContenders(room: Room, cluster: Cluster, folder: string): Promise<Contender[]> {
  const [trivial, usual] = [await startOurs(room, cluster, trivialCost), await startOurs(room, cluster, defaultCost)]
  const databases = [
    await fillFor(room, cluster, trivial.people, trivialCost),
    await fillFor(room, cluster, usual.people, defaultCost),
  ] as const
  const contenders = [await warmUp(ours, trivial, usual)]
  for (const name of [...libraries, prototype]) {
    const start = (databaseUrl: string) =>
      startHelperAt<{ databaseUrl: string }, { url: string; pid: number }>(
        room,
        join(folder, 'servers', `${name}.mjs`),
        production,
      )({ databaseUrl })
    const [cheap, dear] = [await start(databases[0]), await start(databases[1])]
    contenders.push(await warmUp(name, { ...cheap, people: trivial.people }, { ...dear, people: usual.people }))
  }
  return contenders
}

const production = { NODE_ENV: 'production' } as const
const userCount = 1_000

async function startOurs(room: Room, cluster: Cluster, cost: Cost): Promise<Place> {
  const where = { url: await cluster.createDatabase(room) }
  const { url, pid } = await startServer(room, where, { ...costVariables(cost), ...production })
  return { url, pid, people: await addPeople(where, where.url, userCount, cost) }
}

async function fillFor(room: Room, cluster: Cluster, people: People, cost: Cost): Promise<string> {
  const databaseUrl = await cluster.createDatabase(room)
  await fillPeers(databaseUrl, people, cost)
  return databaseUrl
}

async function warmUp(name: string, trivial: Place, usual: Place): Promise<Contender> {
  await signIn(trivial.url, trivial.people, 8, 500)
  await signIn(usual.url, usual.people, 2, 10)
  await sleep(500)
  return { name, trivial, usual, idleMib: residentMib(usual.pid) }
}
