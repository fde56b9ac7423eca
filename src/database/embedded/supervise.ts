import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from './cluster.ts'
import { enterCluster, joinCluster, type Keeper } from './keeper.ts'
import { readPostmaster } from './postmaster.ts'

/** Who hears what happens to the PostgreSQL underneath. */
export interface Listeners {
  onProgress(sentence: string): void
  onConnectionLost(cause: Error): void
}

/**
 * Keeps PostgreSQL running on the cluster until the returned function is called: whenever it is gone, it is joined
 * or started again. Rejects like `enterCluster` when it cannot be entered in the first place.
 */
export async function supervise(cluster: Cluster, host: string, listeners: Listeners): Promise<() => Promise<void>> {
  const leaving = new AbortController()
  let keeper: Keeper | null = await enterCluster(cluster, host, leaving.signal)
  const watching = watch(keeper)
  return async () => {
    leaving.abort()
    await watching
    // lost a moment ago: nobody may be left to stop it but us
    keeper ??= await joinCluster(cluster, host).catch(() => null)
    await keeper?.leave()
  }

  async function watch(current: Keeper): Promise<void> {
    await endOf(current, cluster, leaving.signal)
    if (leaving.signal.aborted) return
    keeper = null
    listeners.onProgress('The embedded database has stopped unexpectedly and is being started again.')
    keeper = await comeBack(cluster, host, listeners, leaving.signal)
    if (keeper) return watch(keeper)
  }
}

/** Resolves when the keeper has lost its connection or `signal` aborts. */
async function endOf(keeper: Keeper, { path }: Cluster, signal: AbortSignal): Promise<void> {
  const looking = setInterval(async () => {
    if ((await readPostmaster(path))?.isStopping) await keeper.hastenStop()
  }, 1_000).unref()
  const aborted = new Promise<unknown>((resolve) => {
    signal.addEventListener('abort', resolve, { once: true })
    if (signal.aborted) resolve(signal.reason) // which no event tells any more
  })
  await Promise.race([keeper.ended, aborted])
  clearInterval(looking)
}

async function comeBack(cluster: Cluster, host: string, listeners: Listeners, signal: AbortSignal) {
  for (let pauseMs = 100; !signal.aborted; pauseMs = Math.min(pauseMs * 2, 2_000)) {
    try {
      const keeper = await enterCluster(cluster, host, signal)
      listeners.onProgress('The embedded database is back.')
      return keeper
    } catch (error) {
      if (!signal.aborted) listeners.onConnectionLost(error as Error)
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
  }
  return null
}
