import { randomBytes } from 'node:crypto'
import { runCommand, type Where } from './children.ts'
import { onDatabase } from './cluster.ts'
import { type Cost, importBuilt } from './place.ts'

/** The accounts of a server under test: numbered users, all with one password, and one client. */
export interface People {
  readonly count: number
  readonly password: string
  readonly client: { readonly id: string; readonly secret: string }
  /** The client's `Authorization` header. */
  readonly authorization: string
}

/** The binding of argon2 that the product chooses. */
export interface Argon2 {
  readonly binding: string
  hash(password: string, cost: Cost): Promise<string>
  verify(hash: string, password: string): Promise<boolean>
}

/** Loads the binding that the server would load. */
export async function loadArgon2(): Promise<Argon2> {
  return (await importBuilt<{ loadArgon2(): Promise<Argon2> }>('passwords/argon2.js')).loadArgon2()
}

/** Returns the name of the user with a number. */
export function userName(number: number): string {
  return `user-${number}@example.com`
}

/** Fills a migrated database by SQL, since hashing a password for each user would take longer than the measurement. */
export async function addPeople(where: Where, databaseUrl: string, count: number, cost: Cost): Promise<People> {
  const password = randomBytes(12).toString('base64url')
  const hash = await (await loadArgon2()).hash(password, cost)
  type Added = { client_id: string; client_secret: string }
  const { client_id: id, client_secret: secret } = await runCommand<Added>(where, 'client', 'add', 'bench')
  await onDatabase(databaseUrl, async (database) => {
    await database.query(
      `insert into password_grant.users (id, name, name_key, role, password_hash)
      select gen_random_uuid(), name, name, 'Editor', $2
      from generate_series(1, $1::integer) number, format('user-%s@example.com', number) name`,
      [count, hash],
    )
    await database.query('vacuum analyze')
  })
  const basic = Buffer.from(`${id}:${secret}`).toString('base64')
  return { count, password, client: { id, secret }, authorization: `Basic ${basic}` }
}
