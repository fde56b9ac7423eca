/** One kind of kill: how often it occurred, and how long until sign-ins worked again. */
export interface KillFigures {
  readonly kind: string
  count: number
  /** How often nothing else was hit before the recovery, so that the times belong to this kind alone. */
  measured: number
  /** The longest time from the hit to the first later sign-in, on every affected server. */
  longestMs: number
  /** The longest time since the restart or the thaw. */
  longestFromBackMs: number
}

/** Measures how long targets take to recover. */
export interface Recoveries {
  readonly figures: ReadonlyMap<string, KillFigures>
  /** Records a hit that affects these servers. Call the returned function at the restart. */
  begin(kind: string, servers: readonly string[]): () => void
  /** Records that a sign-in, sent at the given time, succeeded. */
  succeeded(server: string, sentMs: number): void
}

interface Recovery {
  readonly kind: string
  readonly hitMs: number
  backMs: number
  readonly waitingFor: Set<string>
}

/** Creates an empty record with a line for each kind. */
export function createRecoveries(kinds: readonly string[]): Recoveries {
  const figures = new Map<string, KillFigures>(
    kinds.map((kind) => [kind, { kind, count: 0, measured: 0, longestMs: 0, longestFromBackMs: 0 }]),
  )
  let open: Recovery[] = []
  return {
    figures,
    begin: (kind, servers) => {
      const figure = figures.get(kind)
      if (figure) figure.count += 1
      open = open.filter(({ waitingFor }) => !servers.some((server) => waitingFor.has(server)))
      const recovery = { kind, hitMs: performance.now(), backMs: Number.NaN, waitingFor: new Set(servers) }
      open.push(recovery)
      return () => {
        recovery.backMs = performance.now()
      }
    },
    succeeded: (server, sentMs) => {
      for (const recovery of open) {
        // a success before the restart does not count: a frozen or dying process may still answer
        if (!(sentMs > recovery.backMs) || !recovery.waitingFor.delete(server) || recovery.waitingFor.size > 0) continue
        const figure = figures.get(recovery.kind)
        if (!figure) continue
        figure.measured += 1
        figure.longestMs = Math.max(figure.longestMs, performance.now() - recovery.hitMs)
        figure.longestFromBackMs = Math.max(figure.longestFromBackMs, performance.now() - recovery.backMs)
      }
      open = open.filter(({ waitingFor }) => waitingFor.size > 0)
    },
  }
}
