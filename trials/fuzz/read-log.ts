import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Faults } from './faults.ts'
import type { Known } from './known.ts'

/** Searches a server's log for errors, malformed lines and secrets. Returns the number of lines. */
export async function readLog(file: string, known: Known, faults: Faults): Promise<number> {
  const secrets = [known.password, known.client.secret, known.customerKey]
  let count = 0
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    count += 1
    if (!line.startsWith('{"level":')) faults.addText('a line beside the log', line)
    else if (/^\{"level":[5-9]\d/.test(line)) faults.addText('an error in the log', withoutTime(line))
    if (line.includes('"code":"temporarily_unavailable"')) faults.addText('an outage in the log', withoutTime(line))
    if (secrets.some((secret) => line.includes(secret)) || tokenShape.test(line))
      faults.addText('a secret in the log', line)
  }
  return count
}

const tokenShape = /[A-Za-z0-9_-]{72}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{20}/

function withoutTime(line: string): string {
  return line.replace(/"(time|pid|hostname|durationMs|userId|client|address)":[^,}]*,?/g, '')
}
