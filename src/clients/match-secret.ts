import { OAuthError } from '../errors.ts'
import type { Passwords } from '../passwords/password.ts'
import { generateBytes, hashSecret, keyedHash, matchHash } from '../secrets.ts'
import type { ClientCredentials } from '../wire/client-credentials.ts'
import { type ClientRow, refuseClient } from './client.ts'

/** Whether a secret is the generated one of a client, or the one before it. Costs one fast hash: 256 bits cannot be guessed. */
export function matchGeneratedSecret(client: ClientRow, secret: string): boolean {
  return hashesOf(client).some((hash) => isFast(hash) && matchHash(readFast(hash), hashSecret(secret)))
}

/**
 * Whether a secret is the chosen one of a client. Costs argon2id, whether there is such a client or not. Rejects as the hash
 * queue does, and with OAuthError `invalid_client` where the stored hash cannot be read.
 */
export type MatchChosenSecret = (
  credentials: ClientCredentials,
  client: ClientRow | null,
  network: string,
) => Promise<boolean>

const maxRemembered = 10_000

/** Creates a matcher that remembers secrets that were right, under a key that only this process has. */
export function createChosenSecretMatcher(passwords: Passwords): MatchChosenSecret {
  const key = generateBytes(32)
  const remembered = new Map<string, Promise<boolean>>()

  return async ({ id, secret }, client, network) => {
    const storedHash = hashesOf(client).find((hash) => !isFast(hash)) ?? null // rotating leaves one at most
    const name = keyedHash(key, `${storedHash}\n${id}\n${secret}`)
    const known = client?.isEnabled ? remembered.get(name) : undefined
    if (known) return known
    const matching = passwords
      .match(storedHash, secret ?? '', { client: '', network }, !client?.isEnabled)
      .catch((error: unknown) => {
        if (error instanceof OAuthError) throw error
        throw refuseClient('stored secret hash unreadable', { clientId: id, cause: error })
      })
    if (remembered.size >= maxRemembered) remembered.clear()
    remembered.set(name, matching) // requests at the same time share the work
    const matches = await matching.catch((error: unknown) => {
      remembered.delete(name)
      throw error
    })
    if (!matches) remembered.delete(name)
    return matches
  }
}

function hashesOf(client: ClientRow | null): string[] {
  return [client?.secretHash, client?.previousHash].filter((hash) => typeof hash === 'string')
}

const fastPrefix = 'sha256:'

function isFast(storedHash: string): boolean {
  return storedHash.startsWith(fastPrefix)
}

function readFast(storedHash: string): Buffer {
  return Buffer.from(storedHash.slice(fastPrefix.length), 'hex')
}
