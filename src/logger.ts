import { pino } from 'pino'
import pretty from 'pino-pretty'

/** JSON lines for machines; on a terminal, lines for the person in front of it. */
export function createLogger(level: string, isTerminal: boolean): pino.Logger {
  if (!isTerminal) return pino({ level })
  return pino(
    { level },
    pretty({ ignore: 'pid,hostname,reqId,event,reason', translateTime: 'SYS:HH:MM:ss', singleLine: true, sync: true }),
  )
}
