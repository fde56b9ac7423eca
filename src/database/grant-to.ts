import pg from 'pg'
import type { Database, Script } from './database.ts'
import { migrationLock } from './migrate.ts'

/** A privilege on a whole table, or on some of its columns. */
type Privilege = 'select' | 'insert' | 'update' | 'delete'
type Grant = Privilege | readonly [privilege: Privilege, ...columns: string[]]

/**
 * The privileges that a server needs, by table. Commands, migrations and manual changes need the owner instead. A migration
 * that adds a table or column for servers needs a line here.
 */
export const servingGrants: Readonly<Record<string, readonly Grant[]>> = {
  migrations: [['select', 'version']],
  compatibility: ['select'],
  clients: [
    [
      ...(['select', 'id', 'is_public', 'is_built_in', 'is_trusted', 'is_enabled', 'credential_version'] as const),
      ...(['secret_hash', 'previous_secret_hash', 'previous_secret_until', 'lifetime_seconds'] as const),
    ],
    ['update', 'created_at'], // a row lock needs the privilege on some column; servers never write this one
  ],
  users: [
    ['select', 'id', 'name', 'name_key', 'role', 'password_hash', 'credential_version', 'is_enabled'],
    ['update', 'password_hash'], // to renew hashes, and for the row lock
  ],
  tokens: ['select', 'insert', 'update', 'delete'],
  devices: [
    ['select', 'user_id', 'device_key', 'customer_key', 'last_timestamp'],
    ['update', 'last_timestamp'],
  ],
  signing_keys: ['select', ['insert', 'id', 'public_key', 'private_key'], ['update', 'longest_lifetime_seconds']],
  attempts: ['select', 'insert', 'update', 'delete'],
  network_key: [['select', 'key']],
  failures: ['select', 'insert', 'update', 'delete'],
  guesses: ['select', 'insert', 'update', 'delete'],
  network_names: ['select', 'insert', 'update', 'delete'],
  known_networks: ['select', 'insert', 'update', 'delete'],
  encryption_key: [
    ['select', 'only_row', 'fingerprint'],
    ['insert', 'fingerprint'],
    ['update', 'fingerprint'],
  ],
}

/**
 * Grants a role the privileges that a server needs, and revokes all others, in one transaction. Throws Error if the role does
 * not exist, or if it owns the tables or is a superuser.
 */
export async function grantTo(database: Database, role: string): Promise<void> {
  await database.transaction(async (_query, script) => {
    await script(`select pg_advisory_xact_lock(${migrationLock})`)
    await requireServingRole(script, role)
    await script(writeGrants(pg.escapeIdentifier(role), await findFunctions(script)))
    await admitToDatabase(script, role)
  })
}

async function requireServingRole(script: Script, role: string): Promise<void> {
  const [found] = await script<{ isMighty: boolean }>(
    `select rolsuper or pg_has_role(r.oid, n.nspowner, 'member') as "isMighty"
    from pg_roles r, pg_namespace n
    where r.rolname = $1 and n.nspname = 'password_grant'`,
    [role],
  )
  if (!found)
    throw new Error(`There is no role ${role}. Create it first: create role ${pg.escapeIdentifier(role)} login`)
  if (found.isMighty) {
    throw new Error(`The role ${role} owns the tables or is a superuser, so it has every right. Choose another role.`)
  }
}

/** Finds the functions that servers call. Trigger functions need no privilege to run. */
async function findFunctions(script: Script): Promise<string[]> {
  const found = await script<{ signature: string }>(
    `select oid::regprocedure::text as signature
    from pg_proc
    where pronamespace = 'password_grant'::regnamespace and prorettype <> 'trigger'::regtype`,
  )
  return found.map(({ signature }) => signature)
}

function writeGrants(role: string, functions: readonly string[]): string {
  return [
    `revoke all on schema password_grant from ${role}`,
    `revoke all on all tables in schema password_grant from ${role}`,
    `revoke all on all functions in schema password_grant from ${role}`,
    `grant usage on schema password_grant to ${role}`,
    ...functions.map((signature) => `grant execute on function ${signature} to ${role}`),
    ...Object.entries(servingGrants).flatMap(([table, grants]) =>
      grants.map((grant) => `grant ${writePrivilege(grant)} on password_grant.${table} to ${role}`),
    ),
  ].join(';\n')
}

function writePrivilege(grant: Grant): string {
  if (typeof grant === 'string') return grant
  const [privilege, ...columns] = grant
  return `${privilege} (${columns.join(', ')})`
}

/** Lets the role connect to the database, in case that right was revoked from `public`. */
async function admitToDatabase(script: Script, role: string): Promise<void> {
  const [refused] = await script<{ database: string }>(
    `select current_database() as database
    from pg_roles
    where rolname = $1 and not has_database_privilege(oid, current_database(), 'connect')`,
    [role],
  )
  if (!refused) return
  await script(`grant connect on database ${pg.escapeIdentifier(refused.database)} to ${pg.escapeIdentifier(role)}`)
}
