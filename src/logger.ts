import { pino } from 'pino'

/** JSON lines for machines; on a terminal, lines for the person in front of it. */
export async function createLogger(level: string, isTerminal: boolean): Promise<pino.Logger> {
  if (!isTerminal) return pino({ level })
  const { default: pretty } = await import('pino-pretty')
  return pino(
    { level },
    pretty({ ignore: 'pid,hostname,event,reason', translateTime: 'SYS:HH:MM:ss', singleLine: true, sync: true }),
  )
}
