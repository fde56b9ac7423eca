import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { runOn } from './test-cluster.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/**
 * Plants, as a tenant who may create in `public`, a namesake of each object that our SQL could mean: functions of every name
 * it calls, with their own types and with others; operators; types; tables and catalogs. Each raises when it is called.
 */
export async function plantNamesakes(tenantUrl: string): Promise<void> {
  const names = await findCalledNames()
  await runOn(tenantUrl, [
    `set search_path to pg_catalog`,
    `create sequence public.planted_calls`,
    `create function public.raise_planted(what text) returns boolean language plpgsql as $$
    begin
      perform pg_catalog.nextval('public.planted_calls');
      raise exception 'planted % ran as %', what, current_user;
    end $$`,
    plantFunctions(names),
    plantOperators,
    ...tables.map((name) => `create table public.${name} ()`),
    ...types.map(
      (type) => `create domain public."${type}" as pg_catalog."${type}" check (public.raise_planted('type ${type}'))`,
    ),
  ])
}

/** How often something planted was called, also where the error was swallowed. */
export async function countPlantedCalls(url: string): Promise<number> {
  const [row] = await runOn(url, [
    'select case when is_called then last_value::integer else 0 end as calls from public.planted_calls',
  ])
  return row?.['calls'] as number
}

const catalogs = ['pg_trigger', 'pg_database', 'pg_index', 'pg_class', 'pg_attribute', 'pg_roles', 'pg_collation']
const tables = ['users', 'clients', 'tokens', 'migrations', 'compatibility', ...catalogs]
const types = ['text', 'uuid', 'jsonb', 'bytea', 'float8', 'timestamptz', 'regclass', 'regnamespace', 'regcollation']

/** Every word of our SQL, and of the TypeScript around it, before a parenthesis. */
async function findCalledNames(): Promise<string[]> {
  const found = await Promise.all(
    ['sql', 'src'].map(async (folder) => {
      const files = await readdir(`${root}${folder}`, { recursive: true })
      const texts = files
        .filter((file) => /\.(sql|ts)$/.test(file))
        .map((file) => readFile(`${root}${folder}/${file}`, 'utf8'))
      return (await Promise.all(texts)).join('\n')
    }),
  )
  return [...new Set(found.join('\n').match(/\b[a-z][a-z_0-9]*(?=\()/g))]
}

const argumentTypes = `array['integer', 'bigint', 'double precision', 'numeric', 'text', 'uuid', 'timestamptz', 'interval', 'text[]', 'timestamptz[]']`

/** With the arguments of PostgreSQL's own functions, and with pairs for which PostgreSQL has none or a polymorphic one. */
function plantFunctions(names: readonly string[]): string {
  return `
  do $plant$
  declare
    planted record;
  begin
    for planted in
      with called as (
        select distinct on (proname) proname, format_type(case when prorettype = 'anyelement'::regtype then 'text'::regtype
          when typtype = 'p' then 'boolean'::regtype else prorettype end, null) as result, proretset
        from pg_proc join pg_type t on t.oid = prorettype
        where pronamespace = 'pg_catalog'::regnamespace and prokind = 'f'
          and proname = any (array[${names.map((name) => `'${name}'`).join(', ')}])
      )
      select proname, result, proretset, arguments
      from called cross join lateral (
        select '' as arguments
        union select one from unnest(${argumentTypes}) one
        union select one || ', ' || other from unnest(${argumentTypes}) one, unnest(${argumentTypes}) other
        union select one || ', ' || one || ', ' || one from unnest(${argumentTypes}) one
        union select pg_get_function_identity_arguments(p.oid) from pg_proc p
          where p.proname = called.proname and p.pronamespace = 'pg_catalog'::regnamespace
      ) variants
    loop
      begin
        execute format('create function public.%I(%s) returns %s %s language plpgsql as %L',
          planted.proname, planted.arguments, case when planted.proretset then 'setof' else '' end, planted.result,
          format('begin perform public.raise_planted(%L); end', planted.proname));
      exception when others then null; -- a pseudo-type, or there is one already
      end;
    end loop;
  end
  $plant$`
}

const plantOperators = `
  do $plant$
  declare
    planted record;
  begin
    for planted in
      select row_number() over () as number, name, one, other
      from unnest(array['=', '<>', '<', '>', '<=', '>=', '+', '-', '*', '/', '||', '~', '~~', '->', '->>', '%']) name,
        unnest(${argumentTypes}) one, unnest(${argumentTypes}) other
    loop
      execute format('create function public.planted_operator_%s(%s, %s) returns %s language plpgsql as %L',
        planted.number, planted.one, planted.other,
        case when planted.name in ('+', '-', '*', '/', '||', '%', '->', '->>') then planted.one else 'boolean' end,
        format('begin perform public.raise_planted(%L); end', 'operator ' || planted.name));
      execute format('create operator public.%s (function = public.planted_operator_%s, leftarg = %s, rightarg = %s)',
        planted.name, planted.number, planted.one, planted.other);
    end loop;
  end
  $plant$`
