import { listClients as findClients, type RegisteredClient } from '../clients/register-client.ts'
import { pageSize } from '../database/database.ts'
import { listTokens as findTokens, type ListedToken } from '../tokens/list-tokens.ts'
import { type Device, listDevices as findDevices } from '../users/register-device.ts'
import { listUsers as findUsers, type ListedUser, requireUser, type User } from '../users/register-user.ts'
import type { Operator } from './operator.ts'

/**
 * Pages of a list, of at most 1,000 rows each. A page is read from the database when it is asked for: no transaction stays
 * open and no more than one page is in memory, however long the list is and however slow its reader.
 */
export type Pages<Row> = AsyncGenerator<readonly Row[], void, undefined>

/** Lists all users, devices included, by name. Throws OAuthError `temporarily_unavailable` when the database is away. */
export function listUsers({ database }: Operator): Pages<User> {
  return readPages((after: ListedUser | null) => findUsers(database.lookups, after))
}

/** Lists all clients, built-in ones included, by id. Throws OAuthError `temporarily_unavailable` when the database is away. */
export function listClients({ database }: Operator): Pages<RegisteredClient> {
  return readPages((after: RegisteredClient | null) => findClients(database.lookups, after))
}

/** Lists all devices, by key. Throws OAuthError `temporarily_unavailable` when the database is away. */
export function listDevices({ database }: Operator): Pages<Device> {
  return readPages((after: Device | null) => findDevices(database.lookups, after))
}

/**
 * Lists the tokens of one user, or of all without a name, by user and device label: live, expired and revoked ones, never
 * their values. Throws OAuthError `invalid_request` with the status 404 when there is no such user, and
 * `temporarily_unavailable` when the database is away.
 */
export async function* listTokens(
  { database: { lookups } }: Operator,
  { userName }: { userName?: string | undefined } = {},
): Pages<ListedToken> {
  const userId = userName === undefined ? null : (await requireUser(lookups, userName)).id
  yield* readPages((after: ListedToken | null) => findTokens(lookups, userId, after))
}

/** Finds each page after the last row of the one before. The first page comes even when it is empty. */
async function* readPages<Row>(findPage: (after: Row | null) => Promise<readonly Row[]>): Pages<Row> {
  for (let after: Row | null = null; ; ) {
    const page: readonly Row[] = await findPage(after)
    yield page
    if (page.length < pageSize) return
    after = page.at(-1) ?? null
  }
}
