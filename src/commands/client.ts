import {
  listClients,
  type NewClient,
  type RegisteredClient,
  registerClient,
  removeClient,
  rotateClient,
  setClientEnabled,
} from '../clients/register-client.ts'
import type { Database } from '../database/database.ts'
import type { Passwords } from '../passwords/password.ts'
import { revokeTokensOfClient } from '../tokens/revoke-token.ts'
import { type Answer, writeTable } from './answer.ts'

/** `client add`: the generated secret is shown this once; a chosen one is not repeated. */
export async function addClient(database: Database, passwords: Passwords, client: NewClient): Promise<Answer> {
  const { secret } = await registerClient(database.query, passwords, client)
  return showSecret(client.id, secret, 'added')
}

/** `client rotate`: a new secret; the old one counts for the overlap. */
export async function rotateClientSecret(database: Database, id: string, overlapSeconds: number): Promise<Answer> {
  return showSecret(id, await rotateClient(database.query, id, overlapSeconds), 'has a new secret')
}

/** `client disable`: its tokens end in the same transaction. */
export async function disableClient(database: Database, id: string): Promise<Answer> {
  return database.transaction(async (query) => {
    const client = await setClientEnabled(query, id, false)
    await revokeTokensOfClient(query, id)
    return show(client, 'disabled')
  })
}

/** `client enable`. */
export async function enableClient(database: Database, id: string): Promise<Answer> {
  return show(await setClientEnabled(database.query, id, true), 'enabled')
}

/** `client remove`: its tokens go with it. */
export async function deleteClient(database: Database, id: string): Promise<Answer> {
  return show(await removeClient(database.query, id), 'removed')
}

/** `client list`. */
export async function showClients(database: Database): Promise<Answer> {
  const clients = await listClients(database.query)
  const rows = clients.map((client) => [
    client.id,
    client.isPublic ? 'public' : 'confidential',
    client.isEnabled ? 'enabled' : 'disabled',
    client.lifetimeSeconds === null ? 'default' : `${client.lifetimeSeconds} s`,
  ])
  return { json: clients.map(describe), text: writeTable(['CLIENT', 'KIND', 'STATE', 'LIFETIME'], rows) }
}

function describe(client: RegisteredClient): object {
  return {
    client_id: client.id,
    public: client.isPublic,
    enabled: client.isEnabled,
    lifetime: client.lifetimeSeconds,
    created: client.createdAt.toISO(),
  }
}

function show(client: RegisteredClient, done: string): Answer {
  return { json: describe(client), text: `Client ${client.id} ${done}.` }
}

function showSecret(id: string, secret: string | null, done: string): Answer {
  if (secret === null) return { json: { client_id: id }, text: `Client ${id} ${done}.` }
  return {
    json: { client_id: id, client_secret: secret },
    text: `Client ${id} ${done}. Its secret, shown only now:\n${secret}`,
  }
}
