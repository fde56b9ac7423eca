import type { FastifyBaseLogger, FastifyInstance } from 'fastify'

/** A log line that a caller can cause. */
export interface CausedLine {
  readonly level: 'info' | 'warn' | 'error'
  /** What happened, in the log's words: never a word of the request. */
  readonly event: string
  readonly reason: string
  readonly message: string
  /** The dialect or the endpoint, under which the lines are counted. */
  readonly place?: Readonly<Record<string, string>> | undefined
  readonly facts?: object
}

/** Writes a line to the log of its request, or counts it. */
export type WriteCausedLine = (log: FastifyBaseLogger, line: CausedLine) => void

/** How many lines of one place, event and reason are written in full in a second. */
export const maxFullLines = 50
/** How many of them are told apart in a second, which bounds the memory for them. */
const maxKinds = 100
const secondMs = 1_000

/**
 * Bounds the lines that callers can cause: the first of each place, event and reason in a second are written in full, the rest
 * become one line with their count, since a line for each would fill the disk in a flood.
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

/** The event of refusals for want of room. The log has only their count. */
export const overload = 'overload'

const otherReasons = 'other reasons'

interface Kind extends CausedLine {
  count: number
  written: number
}
