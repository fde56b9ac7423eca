import { type Client, type ClientRow, createClientFinder, type FindClient, refuseClient } from '../clients/client.ts'
import { createChosenSecretMatcher, matchGeneratedSecret } from '../clients/match-secret.ts'
import type { Batching } from '../database/batch-lookups.ts'
import type { Query } from '../database/database.ts'
import { isOutage, type OAuthError } from '../errors.ts'
import type { Passwords } from '../passwords/password.ts'
import type { Attempt, Throttle } from '../throttle/throttle.ts'
import type { ClientCredentials, CredentialReadings } from '../wire/client-credentials.ts'
import { recordRefusal, requireNoWait } from './slow-down.ts'

/**
 * Authenticates the client of a request that came from a network. Throws OAuthError `invalid_client`, with one answer for an
 * unknown client, a wrong secret and a disabled client (RFC 6749 §5.2). Throws `slow_down` after too many wrong secrets, and
 * `temporarily_unavailable` in an outage.
 */
export type AuthenticateClient = (readings: CredentialReadings, network: string) => Promise<Client>

/** The dependencies of client authentication. */
export interface ClientTools {
  readonly query: Query
  readonly passwords: Passwords
  readonly throttle: Throttle
  /** How to batch look-ups where unauthenticated callers can cause a flood of them. */
  readonly batching?: Batching
}

/**
 * Creates the client authentication. A generated secret is compared first and is never throttled, since 256 bits cannot be
 * guessed. Any other secret is a guess. It costs one argon2id check, also for an unknown client, and the throttle counts it
 * when it is wrong.
 */
export function createClientCheck({ query, passwords, throttle, batching }: ClientTools): AuthenticateClient {
  const findClient = createClientFinder(query, batching)
  const matchChosen = createChosenSecretMatcher(passwords)

  /** Checks every candidate, so that the time does not tell which one matches. */
  async function findMatching(candidates: readonly Candidate[], network: string): Promise<ClientRow> {
    const matches: boolean[] = []
    for (const { credentials, client } of candidates) matches.push(await matchChosen(credentials, client, network))
    const accepted = candidates.find(({ client }, index) => client?.isEnabled && matches[index])
    if (accepted?.client) return accepted.client
    throw refuseCandidates(candidates, matches.includes(true))
  }

  async function checkGuess(candidates: readonly Candidate[], network: string): Promise<ClientRow> {
    const { id } = (candidates.at(-1) as Candidate).credentials // the decoded id, so that all spellings share one count
    const attempt = await throttle.nameClientAttempt(id, network)
    requireNoWait(throttle.checkMemory(attempt))
    const client = await findMatching(candidates, network).catch(recordRefusal(throttle, attempt))
    const state = await throttle.check(attempt) // during a wait even the right secret is refused
    requireNoWait(state.waitSeconds)
    if (state.hasFailed) await recordSuccess(throttle, attempt)
    return client
  }

  return async (readings, network) => {
    const [{ id, secret }] = readings
    if (id === '' && secret === null) throw refuseClient('no client credentials')
    const candidates = await Promise.all(readings.map((credentials) => findCandidate(findClient, credentials)))
    const accepted = candidates.find(isAcceptedAtOnce)
    if (accepted) return toClient(accepted.client)
    if (secret !== null) return toClient(await checkGuess(candidates, network))
    throw refuseCandidates(candidates, null)
  }
}

/** Refuses built-in clients: they have no secret and are accepted only in their own dialect. */
export function refuseBuiltIn(authenticate: AuthenticateClient): AuthenticateClient {
  return async (readings, network) => {
    const client = await authenticate(readings, network)
    if (client.isBuiltIn) throw refuseClient('built-in client', { clientId: client.id })
    return client
  }
}

/** Authenticates the built-in client of a dialect whose requests carry no client credentials. */
export function authenticateBuiltIn(authenticate: AuthenticateClient, id: string): AuthenticateClient {
  return async () => {
    const client = await authenticate([{ id, secret: null }], '')
    if (!client.isBuiltIn) throw refuseClient('not a built-in client', { clientId: id })
    return client
  }
}

/** One reading of the credentials, and the client that it names. */
interface Candidate {
  readonly credentials: ClientCredentials
  readonly client: ClientRow | null
}

async function findCandidate(findClient: FindClient, credentials: ClientCredentials): Promise<Candidate> {
  return { credentials, client: await findClient(credentials.id) }
}

/** Accepts without a password hash: a public client that sends no secret, or a generated secret. */
function isAcceptedAtOnce(candidate: Candidate): candidate is Candidate & { client: ClientRow } {
  const { client, credentials } = candidate
  if (!client?.isEnabled) return false
  const { secret } = credentials
  return secret === null ? client.isPublic : matchGeneratedSecret(client, secret)
}

/** Ignores an outage, so that a read-only database still authenticates clients. The next success clears the failures. */
async function recordSuccess(throttle: Throttle, attempt: Attempt): Promise<void> {
  await throttle.recordSuccess(attempt).catch((error: unknown) => {
    if (!isOutage(error)) throw error
  })
}

/** Gives the reason for the first client that exists. `matches` is null when no secret was sent. */
function refuseCandidates(candidates: readonly Candidate[], matches: boolean | null): OAuthError {
  const client = candidates.find((candidate) => candidate.client)?.client ?? null
  return refuseClient(findReason(client, matches), { clientId: client?.id })
}

function findReason(client: ClientRow | null, matches: boolean | null): string {
  if (!client) return 'unknown client'
  if (!client.isEnabled) return 'disabled client'
  if (client.isPublic) return 'public client with a secret'
  return matches === null ? 'client secret missing' : 'wrong client secret'
}

function toClient({ id, isPublic, isBuiltIn, isTrusted, credentialVersion }: ClientRow): Client {
  return { id, isPublic, isBuiltIn, isTrusted, credentialVersion }
}
