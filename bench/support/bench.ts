import type { Cluster } from './cluster.ts'
import type { Figure } from './figure.ts'
import type { Room } from './room.ts'

/** What a measurement is given: how much to do, and a PostgreSQL to do it on. */
export interface Bench {
  readonly rounds: number
  /** How long each side of a comparison runs in each round. */
  readonly seconds: number
  readonly cluster: Cluster
}

/** One measurement: makes what it needs in the room, and measures. */
export type Measurement = (bench: Bench, room: Room) => Promise<Figure[]>

/** Does the same thing in every round, one after the other. */
export async function inRounds<T>(count: number, work: (round: number) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  for (let round = 0; round < count; round += 1) results.push(await work(round))
  return results
}
