import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from './cluster.ts'
import { enterCluster, type Keeper } from './keeper.ts'
import { readPostmaster } from './running.ts'

/** Listeners to the state of an embedded PostgreSQL. */
export interface Listeners {
  onProgress(sentence: string): void
  onConnectionLost(cause: Error): void
}

/**
 * Keeps PostgreSQL running on the cluster until the returned function is called: when it stops, joins or starts it
 * again. Rejects like `enterCluster` when the first attempt fails, or when `signal` aborts it.
 */
export async function supervise(
  cluster: Cluster,
  host: string,
  listeners: Listeners,
  signal: AbortSignal = new AbortController().signal,
): Promise<() => Promise<void>> {
  const leaving = new AbortController()
  let keeper = await enterCluster(cluster, host, signal)
  const watching = watch(keeper)
  return async () => {
    leaving.abort()
    await watching
    await keeper.leave().catch(leaveAgain)
  }

  /**
   * Stops a PostgreSQL that is restarting by itself after the connection was lost: no other process may be left to do
   * it.
   */
  async function leaveAgain(): Promise<void> {
    const again = await enterCluster(cluster, host, leaving.signal).catch(() => null)
    await again?.leave().catch(() => undefined) // lost again: another process has stopped PostgreSQL
  }

  async function watch(current: Keeper): Promise<void> {
    await endOf(current, cluster, leaving.signal)
    if (leaving.signal.aborted) return
    listeners.onProgress('The embedded database has stopped unexpectedly. Starting it again.')
    keeper = (await comeBack(cluster, host, listeners, leaving.signal)) ?? current
    if (keeper !== current) await watch(keeper)
  }
}

/** Resolves when the keeper has lost its connection or `signal` aborts. */
async function endOf(keeper: Keeper, { path }: Cluster, signal: AbortSignal): Promise<void> {
  const looking = setInterval(async () => {
    if ((await readPostmaster(path))?.isStopping) await keeper.hastenStop().catch(() => undefined) // stopped by itself
  }, 1_000).unref()
  const aborted = new Promise<unknown>((resolve) => {
    signal.addEventListener('abort', resolve, { once: true })
    if (signal.aborted) resolve(signal.reason) // the event has passed
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
