import { type Logger, pino } from 'pino'
import { openLogDestination } from './log-destination.ts'

/** The program's log. */
export interface Log {
  readonly logger: Logger
  /** Writes the lines that were held back, and holds none back from now on. */
  release(): void
  /** Resolves when every line is written, after five seconds at the latest. */
  flush(): Promise<void>
}

/** How the log is written. */
export interface LogOptions {
  /** Lines for the person in front of a terminal, instead of JSON for machines. */
  readonly isTerminal: boolean
  /** Holds all lines back until `release`, so that text can come before them. */
  readonly isHeld: boolean
}

/** Opens the log on standard output. An output that cannot be written neither blocks nor ends the process. */
export async function openLog(level: string, { isTerminal, isHeld }: LogOptions): Promise<Log> {
  const format = isTerminal ? await loadPrettyFormat() : (line: string) => line
  const destination = openLogDestination({
    isHeld,
    onRecovered: (dropped) =>
      logger.warn({ event: 'log', dropped }, `${dropped} log lines were dropped while the log could not be written`),
  })
  // nothing but `write`: after a fatal line pino would call `flushSync`, which may wait forever
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
