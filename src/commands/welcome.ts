import type { Config } from '../config/config.ts'
import type { Database, Query } from '../database/database.ts'
import { addClient } from '../operations/clients.ts'
import type { Operator } from '../operations/operator.ts'
import { runTogether } from '../operations/run-operation.ts'
import { addUser } from '../operations/users.ts'
import { createPasswords } from '../passwords/password.ts'
import { generateSecret } from '../secrets.ts'
import { accent } from './accent.ts'

/** How to show the first client and user. */
export interface WelcomeOptions {
  /** The address of the server. */
  readonly url: string
  /** Prints text for people. When it rejects, neither the client nor the user is created. */
  readonly print: (text: string) => Promise<void>
}

/** The comment on the schema until the first client and the first user exist. */
const awaited = 'The first start has not finished.'

/** Notes, in the transaction that creates the tables, that `welcome` is due. The note survives failed starts. */
export async function awaitWelcome(query: Query): Promise<void> {
  await query('await_welcome', `comment on schema password_grant is '${awaited}'`)
}

/**
 * Creates the first client and the first user if `awaitWelcome` noted that they are due, and prints how to use them.
 * Prints before it commits, so that no credentials exist that were never shown.
 */
export async function welcome(database: Database, config: Config, { url, print }: WelcomeOptions): Promise<void> {
  await runTogether({ database }, async (operator) => {
    const { writes: query } = operator.database
    if (!(await isAwaited(query))) return
    const text = (await isEmpty(query)) ? await createFirst(operator, config, url) : null
    await query('end_welcome', 'comment on schema password_grant is null')
    if (text !== null) await print(text)
  })
}

/** Holds a lock until the transaction ends: of two concurrent starts, one waits here for the other. */
async function isAwaited(query: Query): Promise<boolean> {
  await query('lock_welcome', "select pg_advisory_xact_lock(hashtext('fastify-password-grant welcome'))")
  const [row] = await query<{ comment: string | null }>(
    'find_welcome',
    "select obj_description(to_regnamespace('password_grant'), 'pg_namespace') as comment",
  )
  return row?.comment === awaited
}

/** Tells whether the tables are still empty: a command may have added a client or a user meanwhile. */
async function isEmpty(query: Query): Promise<boolean> {
  const [row] = await query<{ isEmpty: boolean }>(
    'is_empty',
    `select not exists (select from password_grant.users)
      and not exists (select from password_grant.clients where not is_built_in) as "isEmpty"`,
  )
  return row?.isEmpty === true
}

async function createFirst({ database, emit }: Operator, config: Config, url: string): Promise<string> {
  const operator = { database, emit, passwords: await createPasswords(config.passwords) }
  const clientId = 'first-client'
  const username = 'ada@example.com'
  const password = generateSecret(20)
  await addUser(operator, username, { password, role: 'Administrator' })
  const { secret } = await addClient(operator, clientId, { secret: 'generated' })
  const clientWords = `-u ${clientId}:${secret} `
  const userWords = `-d username=${username} -d password=${password}`
  const show = (value: string | null) => accent(value ?? '', process.stdout)
  return `
New database. The server created one client and one user.
It shows their credentials only this once.

  client    ${show(clientId)}
  secret    ${show(secret)}
  user      ${show(username)}
  password  ${show(password)}

${showPlaces(config, url)}
  stop      ${show('Ctrl+C')}
${showExample(config, url, { clientWords, userWords })}
`
}

/** Shows what runs where. */
function showPlaces({ docs, database }: Config, url: string): string {
  const places = [['server', url], ...(docs ? [['docs', `${url}/docs`]] : [])]
  if ('folder' in database) places.push(['database', database.folder])
  return places.map(([name = '', place = '']) => `  ${name.padEnd(8)}  ${accent(place, process.stdout)}`).join('\n')
}

/** Shows a command for the first dialect that takes a password; nothing when only devices sign in. */
function showExample(
  config: Config,
  url: string,
  { clientWords, userWords }: { clientWords: string; userWords: string },
): string {
  const dialect = config.dialects.find(({ grant }) => grant === 'password')
  if (!dialect) return ''
  const { client, path, name } = dialect
  const grantType = name === 'envelope' ? '' : '-d grant_type=password '
  return `
Ask for a token from another terminal:

  curl ${client === 'authenticated' ? clientWords : ''}${url}${path} \\
    ${grantType}${userWords}
`
}
