import type { Config } from '../config/config.ts'
import type { Database, Query } from '../database/database.ts'
import { addClient } from '../operations/clients.ts'
import type { Operator } from '../operations/operator.ts'
import { runTogether } from '../operations/run-operation.ts'
import { addUser } from '../operations/users.ts'
import { createPasswords } from '../passwords/password.ts'
import { generateSecret } from '../secrets.ts'

/** How the first client and user are shown. */
export interface WelcomeOptions {
  /** Where the server can be asked. */
  readonly url: string
  /** Prints text for people. Rejects when it cannot be written, and then nothing was made. */
  readonly print: (text: string) => Promise<void>
}

/** The comment on the schema until the first client and the first user are there. */
const awaited = 'The first start has not finished.'

/** Notes in the transaction that makes the tables that `welcome` is due, however often the start fails before it. */
export async function awaitWelcome(query: Query): Promise<void> {
  await query('await_welcome', `comment on schema password_grant is '${awaited}'`)
}

/**
 * Creates the first client and the first user where `awaitWelcome` asked for them, and prints how to use them. Both are
 * printed before they are committed: credentials that no one has seen never exist.
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

/** Of two starts at once one waits here until the other has finished. */
async function isAwaited(query: Query): Promise<boolean> {
  await query('lock_welcome', "select pg_advisory_xact_lock(hashtext('fastify-password-grant welcome'))")
  const [row] = await query<{ comment: string | null }>(
    'find_welcome',
    "select obj_description(to_regnamespace('password_grant'), 'pg_namespace') as comment",
  )
  return row?.comment === awaited
}

/** Whether no command has added a client or a user since the tables were made. */
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
  return `
A new database. One client and one user were made for you; this is the only time their credentials are shown.

  client    ${clientId}
  secret    ${secret}
  user      ${username}
  password  ${password}
${showExample(config, url, { clientWords, userWords })}
`
}

/** A command for the first dialect that takes a password; none where only devices sign in. */
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
