/** One kind of kill: how often, and how long it took until sign-ins were answered again. */
export interface KillFigures {
  readonly kind: string
  count: number
  /** How often nothing else was hit before it had recovered, so that the times are its own. */
  measured: number
  /** The longest from the blow to the first sign-in that was sent afterwards, on every server it concerned. */
  longestMs: number
  /** The longest from when it was started again, or thawed. */
  longestFromBackMs: number
}

/** Who notes when what was hit answers again. */
export interface Recoveries {
  readonly figures: ReadonlyMap<string, KillFigures>
  /** Something is hit that concerns these servers; call the returned function when it is started again. */
  begin(kind: string, servers: readonly string[]): () => void
  /** A sign-in sent then was answered with a token. */
  succeeded(server: string, sentMs: number): void
}

interface Recovery {
  readonly kind: string
  readonly hitMs: number
  backMs: number
  readonly waitingFor: Set<string>
}

/** Notes with nothing in them, but a line for each kind. */
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
        // before it is back a success is one that slipped through: a frozen or dying one may still answer
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
