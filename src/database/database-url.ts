import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import pg from 'pg'
import { type ConnectionOptions, parse } from 'pg-connection-string'

/**
 * Reads a `postgres://` URL as the driver does, including the certificate files that it names. Throws TypeError. The message
 * repeats nothing from the URL, since any part of it may belong to the password.
 */
export function readDatabaseUrl(given: string): pg.PoolConfig {
  const url = given.trim() // the URL may come from a file that ends with a line break
  const mistake = findMistake(url)
  if (mistake) throw new TypeError(mistake)
  const parsed = parseUrl(url)
  const ssl = typeof parsed.ssl === 'object' ? followFiles(parsed) : parsed.ssl
  const config = { ...parsed, ssl } as object as pg.PoolConfig // the driver builds the same object from a URL
  requireUsable(config)
  return config
}

/** Finds characters that must be percent-encoded, since the driver would split the URL at them. */
function findMistake(url: string): string | null {
  const [scheme] = /^postgres(ql)?:\/\//.exec(url) ?? []
  if (!scheme) return expected
  const rest = url.slice(scheme.length)
  const at = rest.indexOf('@')
  const isSplit = at >= 0 && /[/?#\\]/.test(rest.slice(0, at))
  if (isSplit || rest.indexOf('@', at + 1) >= 0 || /[#\s\p{Cc}]/u.test(rest) || /%(?![0-9a-f]{2})/i.test(rest)) {
    return `${expected}; percent-encode each / ? # @ % \\ and blank in the user name, the password and elsewhere`
  }
  return null
}

const expected = 'expected a postgres:// URL'

function parseUrl(url: string): ConnectionOptions {
  try {
    return parse(url)
  } catch (error) {
    throw new TypeError(explain(error)) // without the cause, since it may repeat the URL
  }
}

function explain(error: unknown): string {
  if (error instanceof Error && 'syscall' in error) return 'a certificate file that it names cannot be read'
  return error instanceof Error && error.message.includes('verify-ca')
    ? 'sslmode=verify-ca needs sslrootcert'
    : expected
}

const certificateFiles = [
  { parameter: 'sslcert', option: 'cert' },
  { parameter: 'sslkey', option: 'key' },
  { parameter: 'sslrootcert', option: 'ca' },
] as const

/** Rereads the certificates for each connection, since they may be renewed. Falls back to the last readable ones. */
function followFiles(parsed: ConnectionOptions): object {
  const ssl: Record<string, unknown> = { ...(parsed.ssl as object) }
  for (const { parameter, option } of certificateFiles) {
    const path = parsed[parameter]
    if (typeof path !== 'string') continue
    let latest = ssl[option]
    const read = () => {
      try {
        latest = readFileSync(path, 'utf8')
      } catch {} // PostgreSQL decides whether the last one is still valid
      return latest
    }
    Object.defineProperty(ssl, option, { get: read, enumerable: true, configurable: true })
  }
  return ssl
}

/** Does what each connection will do, so that a wrong URL fails now. Throws TypeError. */
function requireUsable(config: pg.PoolConfig): void {
  try {
    const { port } = new pg.Client(config)
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new TypeError('its port is not one from 1 to 65535')
    if (typeof config.ssl === 'object') createSecureContext(config.ssl)
  } catch (error) {
    if (error instanceof TypeError && error.message.startsWith('its port')) throw error
    throw new TypeError('its TLS settings, or the certificate files that it names, cannot be used')
  }
}
