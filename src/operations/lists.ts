import { listClients as findClients, type RegisteredClient } from '../clients/register-client.ts'
import { pageSize } from '../database/database.ts'
import { listTokens as findTokens, type ListedToken } from '../tokens/list-tokens.ts'
import { type Device, listDevices as findDevices } from '../users/register-device.ts'
import { listUsers as findUsers, type ListedUser, requireUser, type User } from '../users/register-user.ts'
import type { Operator } from './operator.ts'

/**
 * The pages of a list, of at most 1,000 rows each. Reads each page from the database on demand: even for a long list
 * and a slow reader, no transaction stays open and only one page is in memory.
 */
export type Pages<Row> = AsyncGenerator<readonly Row[], void, undefined>

/**
 * Lists all users and devices, ordered by name. Throws OAuthError `temporarily_unavailable` when the database is away.
 */
export function listUsers({ database }: Operator): Pages<User> {
  return readPages((after: ListedUser | null) => findUsers(database.lookups, after))
}

/**
 * Lists all clients, built-in ones too, ordered by id. Throws OAuthError `temporarily_unavailable` when the database is
 * away.
 */
export function listClients({ database }: Operator): Pages<RegisteredClient> {
  return readPages((after: RegisteredClient | null) => findClients(database.lookups, after))
}

/** Lists all devices, ordered by key. Throws OAuthError `temporarily_unavailable` when the database is away. */
export function listDevices({ database }: Operator): Pages<Device> {
  return readPages((after: Device | null) => findDevices(database.lookups, after))
}

/**
 * Lists the live, expired and revoked tokens of one user, or without `userName` of all users, ordered by user and
 * device label. Never lists their values. Throws OAuthError `invalid_request` with the status 404 when there is no such
 * user, and `temporarily_unavailable` when the database is away.
 */
export async function* listTokens(
  { database: { lookups } }: Operator,
  { userName }: { userName?: string | undefined } = {},
): Pages<ListedToken> {
  const userId = userName === undefined ? null : (await requireUser(lookups, userName)).id
  yield* readPages((after: ListedToken | null) => findTokens(lookups, userId, after))
}

/** Starts each page after the last row of the previous one. Yields the first page even when it is empty. */
async function* readPages<Row>(findPage: (after: Row | null) => Promise<readonly Row[]>): Pages<Row> {
  for (let after: Row | null = null; ; ) {
    const page: readonly Row[] = await findPage(after)
    yield page
    if (page.length < pageSize) return
    after = page.at(-1) ?? null
  }
}
