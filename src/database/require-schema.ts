import type { Query, Script } from './database.ts'

/**
 * Creates the schema `password_grant` and its table of migrations if they are missing. Throws as `requireOwnSchema` does, and
 * Error if the role has no right to create a schema.
 */
export async function requireSchema(script: Script): Promise<void> {
  const { owner, hasTable, mayCreate, role, database } = await requireOwnSchema(script)
  if (hasTable) return
  if (owner === null && !mayCreate) {
    throw new Error(
      `${role} has no right to create the schema password_grant. Run as the owner of the database: ` +
        `grant create on database ${database} to ${role}`,
    )
  }
  if (owner === null) await script('create schema password_grant')
  await script(migrationsText)
}

/**
 * Throws Error with a sentence for the operator if the schema belongs to another role. That role could have created views and
 * triggers that run with the rights of the migrating role.
 */
export async function requireOwnSchema(script: Script): Promise<SchemaRow> {
  const [found] = await script<SchemaRow>(schemaText)
  const schema = found as SchemaRow // the statement always returns the current database
  if (schema.owner === null || schema.isTrusted) return schema
  throw new Error(
    `The schema password_grant belongs to ${schema.owner}. Migrate as ${schema.owner} and start servers of other roles with ` +
      '--no-migrate. If that role created it for another purpose: alter schema password_grant rename to another_name',
  )
}

/**
 * Throws Error if a default, constraint, index, trigger or function of the schema refers to an object outside of the schema
 * and of PostgreSQL itself. An older version may have bound it to an object that another tenant planted.
 */
export async function requireOwnReferences(query: Query): Promise<void> {
  const found = await query<{ foreign: string }>('find_foreign_references', referencesText)
  if (found.length === 0) return
  throw new Error(
    `The schema password_grant depends on ${found.map(({ foreign }) => foreign).join(', ')}, which belongs neither to it ` +
      'nor to PostgreSQL and runs with the rights of the server. Drop it with cascade, then restore what the cascade dropped.',
  )
}

const referencesText = `
with ours as (
  select 'pg_constraint'::regclass as class, oid from pg_constraint where connamespace = to_regnamespace('password_grant')
  union all
  select 'pg_proc'::regclass, oid from pg_proc where pronamespace = to_regnamespace('password_grant')
  union all
  select 'pg_class'::regclass, oid from pg_class where relnamespace = to_regnamespace('password_grant')
  union all
  select 'pg_attrdef'::regclass, d.oid from pg_attrdef d join pg_class c on c.oid = d.adrelid
  where c.relnamespace = to_regnamespace('password_grant')
  union all
  select 'pg_trigger'::regclass, t.oid from pg_trigger t join pg_class c on c.oid = t.tgrelid
  where c.relnamespace = to_regnamespace('password_grant')
)
select distinct pg_describe_object(d.refclassid, d.refobjid, 0) as foreign
from ours
join pg_depend d on d.classid = ours.class and d.objid = ours.oid
left join pg_proc p on d.refclassid = 'pg_proc'::regclass and p.oid = d.refobjid
left join pg_operator o on d.refclassid = 'pg_operator'::regclass and o.oid = d.refobjid
left join pg_type t on d.refclassid = 'pg_type'::regclass and t.oid = d.refobjid
where coalesce(p.pronamespace, o.oprnamespace, t.typnamespace)
  not in ('pg_catalog'::regnamespace, to_regnamespace('password_grant'))`

interface SchemaRow {
  /** Null if the schema does not exist. */
  readonly owner: string | null
  /** Whether the owner is this role, a role that it is a member of, the owner of the database, or a superuser. */
  readonly isTrusted: boolean
  readonly hasTable: boolean
  readonly mayCreate: boolean
  readonly role: string
  readonly database: string
}

const schemaText = `
select
  n.nspowner::regrole::text as owner,
  n.nspowner in (me.oid, d.datdba) or coalesce(o.rolsuper, false)
    or not me.rolsuper and pg_has_role(me.oid, n.nspowner, 'member') as "isTrusted",
  to_regclass('password_grant.migrations') is not null as "hasTable",
  has_database_privilege(d.oid, 'create') as "mayCreate",
  quote_ident(me.rolname) as role,
  quote_ident(d.datname) as database
from pg_database d
join pg_roles me on me.rolname = current_user
left join pg_namespace n on n.nspname = 'password_grant'
left join pg_roles o on o.oid = n.nspowner
where d.datname = current_database()`

const migrationsText = `
create table password_grant.migrations (version bigint primary key, name text, md5 text, run_at timestamptz);
insert into password_grant.migrations (version) values (0)`
