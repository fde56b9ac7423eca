const secrets = new Set<string>()
const lines: string[] = []

/** Notes a password, secret or token value of this file; returns it. Short ones would be found by accident. */
export function keepSecret(secret: string): string {
  if (secret.length >= 8) secrets.add(secret)
  return secret
}

/** Where a test's servers log to: pino's destination. */
export const logLines = {
  write(line: string): void {
    lines.push(line)
  },
}

/** The log so far, one object a line. */
export function readLog(): Record<string, unknown>[] {
  return lines.map((line) => JSON.parse(line))
}

/** Every line, of the log unless given, that holds a secret of this file in any common spelling. Empty, or the promise is broken. */
export function leakedLines(searched: readonly string[] = lines): string[] {
  const spellings = [...secrets].flatMap((secret) => [
    secret,
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
    Buffer.from(secret).toString('base64').replace(/=+$/, ''),
  ])
  const text = searched.join('\n') // searching one long text is much quicker than as many short ones
  const found = [...new Set(spellings)].filter((spelling) => text.includes(spelling))
  return searched.filter((line) => found.some((spelling) => line.includes(spelling)))
}

/** The next file has secrets and a log of its own. */
export function forgetSecrets(): void {
  secrets.clear()
  lines.length = 0
}
