import { OAuthError } from '../errors.ts'
import type { Passwords } from '../passwords/password.ts'
import { generateBytes, hashSecret, keyedHash, matchHash } from '../secrets.ts'
import type { ClientCredentials } from '../wire/client-credentials.ts'
import { type ClientRow, refuseClient } from './client.ts'

/**
 * Compares a secret with a client's generated secrets, current and previous. One fast hash is enough for 256 random
 * bits.
 */
export function matchGeneratedSecret(client: ClientRow, secret: string): boolean {
  return hashesOf(client).some((hash) => isFast(hash) && matchHash(readFast(hash), hashSecret(secret)))
}

/**
 * Compares a secret with a client's chosen one. Costs one argon2id hash even when there is no such client. Rejects as
 * the hash queue does, and with OAuthError `invalid_client` when the stored hash is unreadable.
 */
export type MatchChosenSecret = (
  credentials: ClientCredentials,
  client: ClientRow | null,
  network: string,
) => Promise<boolean>

const maxRemembered = 10_000

/** Creates a matcher that caches right secrets as hashes, with a key that only this process has. */
export function createChosenSecretMatcher(passwords: Passwords): MatchChosenSecret {
  const key = generateBytes(32)
  const remembered = new Map<string, Promise<boolean>>()

  return async ({ id, secret }, client, network) => {
    const storedHash = hashesOf(client).find((hash) => !isFast(hash)) ?? null // at most one: rotation generates the other
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
    remembered.set(name, matching) // concurrent requests share the hash
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
