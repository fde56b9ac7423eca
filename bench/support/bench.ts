import type { Cluster } from './cluster.ts'
import type { Figure } from './figure.ts'
import type { Room } from './room.ts'

/** The input of a measurement: how much to do, and a PostgreSQL to do it on. */
export interface Bench {
  readonly rounds: number
  /** How long each side of a comparison runs in each round. */
  readonly seconds: number
  readonly cluster: Cluster
}

/** A measurement. It creates its resources in the room, which removes them afterwards. */
export type Measurement = (bench: Bench, room: Room) => Promise<Figure[]>

/** Runs the same work in every round, one after the other. */
export async function inRounds<T>(count: number, work: (round: number) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  for (let round = 0; round < count; round += 1) results.push(await work(round))
  return results
}
