import type { FastifyBaseLogger, FastifyInstance } from 'fastify'

/** A log line that a caller can cause. */
export interface CausedLine {
  readonly level: 'info' | 'warn' | 'error'
  /** The name of the event. Never contains a part of the request. */
  readonly event: string
  readonly reason: string
  readonly message: string
  /** The dialect or endpoint, which groups the counts. */
  readonly place?: Readonly<Record<string, string>> | undefined
  readonly facts?: object
}

/** Writes a line to the log of its request, or counts it. */
export type WriteCausedLine = (log: FastifyBaseLogger, line: CausedLine) => void

/** The number of lines of one place, event and reason that are written in full in a second. */
export const maxFullLines = 50
/** The number of different groups in a second, which bounds their memory. */
const maxKinds = 100
const secondMs = 1_000

/**
 * Bounds the lines that callers can cause, so that a flood does not fill the disk. Writes the first lines of each
 * place, event and reason in a second in full, and counts the rest in one line.
 */
export function createBoundedLog(scope: FastifyInstance): WriteCausedLine {
  let kinds = new Map<string, Kind>()
  let timer: NodeJS.Timeout | null = null

  function tellCounts(): void {
    if (timer) clearTimeout(timer)
    timer = null
    const counted = kinds
    kinds = new Map()
    for (const { level, event, reason, message, place, count, written } of counted.values()) {
      const more = count - written
      if (more > 0)
        scope.log[level](
          { event, reason, ...place, count: more },
          `${more} times${written > 0 ? ' more' : ''}: ${message}`,
        )
    }
  }

  function findKind(line: CausedLine): Kind {
    const key = `${line.level} ${line.event} ${Object.values(line.place ?? {}).join()} ${line.reason}`
    const known = kinds.get(key)
    if (known) return known
    if (kinds.size >= maxKinds && line.reason !== otherReasons) {
      return findKind({ ...line, reason: otherReasons, message: otherReasons })
    }
    const kind = { ...line, count: 0, written: 0 }
    kinds.set(key, kind)
    return kind
  }

  scope.addHook('onClose', async () => tellCounts())
  return (log, line) => {
    timer ??= setTimeout(tellCounts, secondMs).unref()
    const kind = findKind(line)
    kind.count += 1
    const { level, event, reason, message, place, facts } = line
    if (kind.count > maxFullLines || event === overload) return
    kind.written += 1
    log[level]({ event, reason, ...facts, ...place }, message)
  }
}

/** The event of refusals by an overloaded server. The log only counts them. */
export const overload = 'overload'

const otherReasons = 'other reasons'

interface Kind extends CausedLine {
  count: number
  written: number
}
