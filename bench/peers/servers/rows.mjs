import { createHash, timingSafeEqual } from 'node:crypto'
import { verify } from '@node-rs/argon2'
import pg from 'pg'

/** The lifetime of a token in seconds, as in the product. */
export const lifetimeSeconds = 14 * 86_400

/** The rows that every peer reads and writes, with the same statements and the same hash. */
export function openRows(databaseUrl) {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 10 })
  const readOne = async (name, text, values) => (await pool.query({ name, text, values })).rows[0]
  return {
    /** Tells whether the client exists and its secret is right. */
    async isClient(id, secret) {
      const row = await readOne('client', 'select secret_hash from clients where id = $1', [id])
      return row !== undefined && timingSafeEqual(row.secret_hash, sha256(secret))
    },
    /** Finds the user with this name and password, or null. */
    async findUser(name, password) {
      const user = await readOne('user', 'select id, name, password_hash from users where name = $1', [name])
      return user && (await verify(user.password_hash, password)) ? user : null
    },
    /** Stores a token as the only one of its user. Returns the time of issue. */
    async saveToken(userId, token, expiresAt) {
      const { issued_at } = await readOne('token', putToken, [userId, sha256(token), expiresAt])
      return issued_at
    },
  }
}

const putToken = `
insert into tokens (user_id, token_hash, expires_at) values ($1, $2, $3)
on conflict (user_id) do update set token_hash = excluded.token_hash, issued_at = now(), expires_at = excluded.expires_at
returning issued_at`

function sha256(text) {
  return createHash('sha256').update(text).digest()
}
