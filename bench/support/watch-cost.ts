import { availableParallelism } from 'node:os'
import { cpuMs, firstThreadCpuMs, postgresCpuMs } from './proc.ts'

/** How the time of all cores was spent on each request, in milliseconds. */
export interface Cost {
  /** The server's event loop. */
  readonly loopMs: number
  /** The server's other threads: hashing, and V8's own. */
  readonly poolMs: number
  readonly postgresMs: number
  /** This process, which sends the requests. */
  readonly loadMs: number
  /** The rest: idle cores, the kernel and other processes. */
  readonly restMs: number
}

/** Begins to watch a server and its PostgreSQL. Returns a function that ends it and divides the time by `count` requests. */
export async function watchCost(server: number, postmaster: number): Promise<(count: number) => Promise<Cost>> {
  const before = await read(server, postmaster)
  return async (count) => {
    const after = await read(server, postmaster)
    const each = (name: keyof typeof before) => (after[name] - before[name]) / count
    const [loopMs, postgresMs, loadMs] = [each('loop'), each('postgres'), each('load')]
    const poolMs = each('server') - loopMs
    const restMs = each('clock') * availableParallelism() - loopMs - poolMs - postgresMs - loadMs
    return { loopMs, poolMs, postgresMs, loadMs, restMs }
  }
}

async function read(server: number, postmaster: number) {
  return {
    clock: performance.now(),
    loop: firstThreadCpuMs(server),
    server: cpuMs(server),
    postgres: await postgresCpuMs(postmaster),
    load: cpuMs(process.pid),
  }
}
