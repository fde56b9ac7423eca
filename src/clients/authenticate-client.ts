import type { Query } from '../database/database.ts'
import { gatherRows, mostForFlood } from '../database/gather-rows.ts'
import { OAuthError } from '../errors.ts'
import type { Passwords } from '../passwords/password.ts'
import { generateBytes, hashSecret, keyedHash, matchHash } from '../secrets.ts'
import type { ClientThrottle } from '../throttle/client-throttle.ts'
import { isClientId } from './client-id.ts'

/** An application that proved its identity, or a public one that named itself. */
export interface Client {
  readonly id: string
  readonly isPublic: boolean
  /** Stands for all callers of the dialect of its name, and is accepted nowhere else. */
  readonly isBuiltIn: boolean
  /** Names its end user's address in `X-Forwarded-For`, before its own. */
  readonly isTrusted: boolean
  /** Changes with every change that must end a sign-in under way. */
  readonly credentialVersion: string
}

/** The client credentials of a request; no secret for a public client. */
export interface ClientCredentials {
  readonly id: string
  readonly secret: string | null
}

/** The readings of one request's credentials: a Basic header may be form-encoded or not (RFC 6749 §2.3.1). */
export type ClientReadings = readonly [ClientCredentials, ...ClientCredentials[]]

/**
 * Authenticates the client of a request from a network. Throws OAuthError `invalid_client`, the same for an unknown client, a
 * wrong secret and a disabled client (RFC 6749 §5.2), `slow_down` after too many wrong secrets, or `temporarily_unavailable`.
 */
export type AuthenticateClient = (readings: ClientReadings, network: string) => Promise<Client>

/** What client authentication needs. */
export interface ClientCheckTools {
  readonly query: Query
  readonly passwords: Passwords
  readonly throttle: ClientThrottle
}

/**
 * Checks clients against the database. A generated secret has a fast hash and is compared first: no wait stands in its
 * way, since 256 bits cannot be guessed. Any other secret is a guess: it costs argon2id for every client, and for an
 * unknown one, and the throttle counts it when it is wrong. With `isFloodable`, few look-ups run at a time.
 */
export function createClientCheck(tools: ClientCheckTools, isFloodable = false): AuthenticateClient {
  const { query, passwords, throttle } = tools
  const findClient = createClientFinder(query, isFloodable ? mostForFlood : undefined)
  const matchChosen = createChosenSecretMatcher(passwords)

  async function guess(candidates: readonly Candidate[], network: string): Promise<Client> {
    const { id } = (candidates.at(-1) as Candidate).credentials // the decoded reading: no spelling has a count of its own
    const attempt = await throttle.open(id, network)
    const client = await findAccepted(candidates, network).catch(async (error: unknown) => {
      if (error instanceof OAuthError && error.code === 'invalid_client') await attempt.recordFailure()
      throw error
    })
    await attempt.recordSuccess()
    return toClient(client)
  }

  /** Every reading costs the same work, whichever is right. */
  async function findAccepted(candidates: readonly Candidate[], network: string): Promise<ClientRow> {
    const matches: boolean[] = []
    for (const candidate of candidates) matches.push(await matchChosen(candidate, network))
    const accepted = candidates.find(({ client }, index) => client?.isEnabled && matches[index])
    if (accepted?.client) return accepted.client
    throw refuseClient(findFault(candidates, matches.includes(true)), { clientId: findKnown(candidates) })
  }

  return async (readings, network) => {
    const [{ id, secret }] = readings
    if (id === '' && secret === null) throw refuseClient('no client credentials')
    const candidates = await Promise.all(
      readings.map(async (credentials) => ({
        credentials,
        client: isClientId(credentials.id) ? await findClient(credentials.id) : undefined,
      })),
    )
    const accepted = candidates.find(isAcceptedAtOnce)
    if (accepted) return toClient(accepted.client)
    if (secret !== null) return guess(candidates, network)
    throw refuseClient(findFault(candidates, null), { clientId: findKnown(candidates) })
  }
}

/** One reading, and the client it names. */
interface Candidate {
  readonly credentials: ClientCredentials
  readonly client: ClientRow | undefined
}

/** Accepts a public client that sends no secret, and a generated secret. */
function isAcceptedAtOnce(candidate: Candidate): candidate is Candidate & { client: ClientRow } {
  const { client, credentials } = candidate
  if (!client?.isEnabled) return false
  const { secret } = credentials
  return secret === null ? client.isPublic : hashesOf(client).some((hash) => matchFast(hash, secret))
}

function hashesOf(client: ClientRow | undefined): string[] {
  return [client?.secretHash, client?.previousHash].filter((hash) => typeof hash === 'string')
}

const maxRemembered = 10_000

/**
 * Matches chosen secrets. Every call costs argon2id, whether there is such a client or not; a secret that was right is
 * remembered under a key that only this process has.
 */
function createChosenSecretMatcher(passwords: Passwords): (candidate: Candidate, network: string) => Promise<boolean> {
  const key = generateBytes(32)
  const remembered = new Map<string, Promise<boolean>>()

  return async ({ credentials: { id, secret }, client }, network) => {
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

/** The reason for the log, about the first client that exists; `matches` is null when no secret was sent. */
function findFault(candidates: readonly Candidate[], matches: boolean | null): string {
  const client = candidates.find((candidate) => candidate.client)?.client
  if (!client) return 'unknown client'
  if (!client.isEnabled) return 'disabled client'
  if (client.isPublic) return 'public client with a secret'
  return matches === null ? 'client secret missing' : 'wrong client secret'
}

function findKnown(candidates: readonly Candidate[]): string | undefined {
  return candidates.find((candidate) => candidate.client)?.client?.id
}

function toClient({ id, isPublic, isBuiltIn, isTrusted, credentialVersion }: ClientRow): Client {
  return { id, isPublic, isBuiltIn, isTrusted, credentialVersion }
}

function isFast(storedHash: string): boolean {
  return storedHash.startsWith('sha256:')
}

function matchFast(storedHash: string, secret: string): boolean {
  return isFast(storedHash) && matchHash(Buffer.from(storedHash.slice('sha256:'.length), 'hex'), hashSecret(secret))
}

/** The one answer for every client that is refused; `reason` and the rest are for the log. */
export function refuseClient(
  reason: string,
  details: { clientId?: string | undefined; cause?: unknown } = {},
): OAuthError {
  return new OAuthError('invalid_client', 'Client authentication failed.', { reason, ...details })
}

interface ClientRow {
  id: string
  isPublic: boolean
  isBuiltIn: boolean
  isTrusted: boolean
  isEnabled: boolean
  credentialVersion: string
  secretHash: string | null
  previousHash: string | null
}

/** Finds clients by id; look-ups at the same time share a statement. */
function createClientFinder(
  query: Query,
  mostUnderWay: number | undefined,
): (id: string) => Promise<ClientRow | undefined> {
  return gatherRows(async (ids) => {
    const clients = await query<ClientRow>(
      'find_client',
      `select
        id,
        is_public as "isPublic",
        is_built_in as "isBuiltIn",
        is_trusted as "isTrusted",
        is_enabled as "isEnabled",
        credential_version as "credentialVersion",
        secret_hash as "secretHash",
        case when previous_secret_until > now() then previous_secret_hash end as "previousHash"
      from password_grant.clients
      where id = any ($1::text[])`,
      [ids],
    )
    return new Map(clients.map((client) => [client.id, client]))
  }, mostUnderWay)
}
