import { createHash, randomBytes } from 'node:crypto'
import { onDatabase } from '../../bench/support/cluster.ts'

const kindsOfUsers = [
  'ordinary',
  'others',
  'unknown',
  'disabled',
  'alsoDisabled',
  'withoutPassword',
  'withOlderHash',
  'withDearerHash',
  'withUnreadableHash',
] as const
const kindsOfClients = ['ordinary', 'others', 'unknown', 'disabled', 'public', 'withChosenSecret'] as const

/** Names of users and ids of clients of each kind, all of one length. Not all of them exist. */
export interface Everybody {
  readonly users: Readonly<Record<(typeof kindsOfUsers)[number], readonly string[]>>
  readonly clients: Readonly<Record<(typeof kindsOfClients)[number], readonly string[]>>
  readonly secrets: Secrets
}

/** The right and wrong credentials. */
export interface Secrets {
  /** The password of every user, and the secret of clients with a chosen one. */
  readonly password: string
  readonly wrongPassword: string
  /** The secret of the other clients, as long as a generated one. */
  readonly secret: string
  readonly wrongSecret: string
}

/** The stored hashes of the password. */
export interface StoredHashes {
  readonly today: string
  /** A hash at a lower cost than the configured one. */
  readonly older: string
  /** A hash at twice the configured cost. */
  readonly dearer: string
}

/** Hashes the password at the configured cost and at two others, with the product's own hashing. */
export async function hashForEverybody<Cost extends { readonly passes: number }>(
  hash: (password: string, cost: Cost) => Promise<string>,
  { password }: Secrets,
  cost: Cost,
  olderCost: Cost,
): Promise<StoredHashes> {
  return {
    today: await hash(password, cost),
    older: await hash(password, olderCost),
    dearer: await hash(password, { ...cost, passes: 2 * cost.passes }),
  }
}

/** Invents random credentials, and passes each one to `keep`. */
export function inventSecrets(keep: (secret: string) => string = (secret) => secret): Secrets {
  const [password, wrongPassword] = [inventName(), inventName()].map(keep) as [string, string]
  const [secret, wrongSecret] = [0, 1].map(() => keep(randomBytes(32).toString('base64url'))) as [string, string]
  return { password, wrongPassword, secret, wrongSecret }
}

function inventName(): string {
  return randomBytes(8).toString('hex')
}

const ofEachKind = 4

/** Adds the existing users and clients to a migrated database by SQL. */
export async function addEverybody(databaseUrl: string, hashes: StoredHashes, secrets: Secrets): Promise<Everybody> {
  const invent = <Kind extends string>(kinds: readonly Kind[]) =>
    Object.fromEntries(kinds.map((kind) => [kind, Array.from({ length: ofEachKind }, inventName)])) as Record<
      Kind,
      string[]
    >
  const [users, clients] = [invent(kindsOfUsers), invent(kindsOfClients)]
  const generated = `sha256:${createHash('sha256').update(secrets.secret).digest('hex')}`
  await onDatabase(databaseUrl, async (database) => {
    const addUsers = (added: readonly string[], hash: string | null, isEnabled = true) =>
      database.query(
        `insert into password_grant.users (id, name, name_key, role, password_hash, is_enabled)
        select gen_random_uuid(), name, name, 'Editor', $2, $3 from unnest($1::text[]) name`,
        [added, hash, isEnabled],
      )
    const addClients = (added: readonly string[], hash: string | null, isEnabled = true) =>
      database.query(
        `insert into password_grant.clients (id, is_public, secret_hash, is_enabled)
        select id, $2::text is null, $2, $3 from unnest($1::text[]) id`,
        [added, hash, isEnabled],
      )
    await addUsers([...users.ordinary, ...users.others], hashes.today)
    await addUsers([...users.disabled, ...users.alsoDisabled], hashes.today, false)
    await addUsers(users.withoutPassword, null)
    await addUsers(users.withOlderHash, hashes.older)
    await addUsers(users.withDearerHash, hashes.dearer)
    await addUsers(users.withUnreadableHash, '$argon2id$unreadable')
    await addClients([...clients.ordinary, ...clients.others], generated)
    await addClients(clients.disabled, generated, false)
    await addClients(clients.public, null)
    await addClients(clients.withChosenSecret, hashes.today)
    await database.query('vacuum analyze password_grant.users, password_grant.clients')
  })
  return { users, clients, secrets }
}
