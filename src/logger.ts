import { type Logger, pino } from 'pino'
import { LogDestination } from './log-destination.ts'

/** The log of the program. */
export interface Log {
  readonly logger: Logger
  /** Writes the held lines, and every later line at once. */
  release(): void
  /** Waits until every line is written, for at most five seconds. */
  flush(): Promise<void>
}

/** The format of the log. */
export interface LogOptions {
  /** Writes lines for people instead of JSON. */
  readonly isTerminal: boolean
  /** Holds all lines until `release`, so that other text can come first. */
  readonly isHeld: boolean
}

/** Opens the log on standard output. A blocked or broken output neither blocks nor ends the process. */
export async function openLog(level: string, { isTerminal, isHeld }: LogOptions): Promise<Log> {
  const format = isTerminal ? await loadPrettyFormat() : (line: string) => line
  const destination = new LogDestination({
    isHeld,
    onRecovered: (dropped) =>
      logger.warn({ event: 'log', dropped }, `${dropped} log lines were dropped while the log could not be written`),
  })
  // only `write`: pino would call `flushSync` after a fatal line, and that may wait forever
  const logger = pino({ level }, { write: (line) => destination.write(format(line)) })
  return { logger, release: () => destination.release(), flush: () => destination.flush() }
}

async function loadPrettyFormat(): Promise<(line: string) => string> {
  const { prettyFactory } = await import('pino-pretty')
  const pretty = prettyFactory({
    ignore: 'pid,hostname,event,reason,applied,version,argon2,signal', // the message has them
    translateTime: 'SYS:HH:MM:ss',
    singleLine: true,
  })
  return (line) => pretty(line)
}
