import { createHash } from 'node:crypto'
import { onDatabase } from '../support/cluster.ts'
import { loadArgon2, type People } from '../support/people.ts'
import type { Cost } from '../support/place.ts'

const schema = `
create table clients (id text primary key, secret_hash bytea not null);
create table users (
  id integer generated always as identity primary key,
  name text unique not null,
  password_hash text not null
);
create table tokens (
  user_id integer primary key references users on delete cascade,
  token_hash bytea unique not null,
  issued_at timestamptz not null default now(),
  expires_at timestamptz not null
);`

/** Fills the peers' own database with the same client and the same users, with the same password. */
export async function fillPeers(databaseUrl: string, { client, count, password }: People, cost: Cost): Promise<void> {
  const hash = await (await loadArgon2()).hash(password, cost)
  await onDatabase(databaseUrl, async (database) => {
    await database.query(schema)
    const secretHash = createHash('sha256').update(client.secret).digest()
    await database.query('insert into clients values ($1, $2)', [client.id, secretHash])
    await database.query(
      `insert into users (name, password_hash)
      select format('user-%s@example.com', number), $2 from generate_series(1, $1::integer) number`,
      [count, hash],
    )
    await database.query(
      `insert into tokens (user_id, token_hash, expires_at)
      select id, sha256(name::bytea), now() + interval '14 days' from users`,
    )
    await database.query('vacuum analyze')
  })
}
