import { registerClient } from '../clients/register-client.ts'
import type { Config } from '../config.ts'
import type { Query } from '../database/database.ts'
import { createPasswords } from '../passwords/password.ts'
import { generateSecret } from '../secrets.ts'
import { registerUser } from '../users/register-user.ts'

/** Creates the first client and the first user of an empty database; returns the text that shows how to use them. */
export async function welcome(query: Query, config: Config): Promise<string> {
  const passwords = await createPasswords(config.passwords)
  const clientId = 'first-client'
  const username = 'ada@example.com'
  const password = generateSecret(20)
  const passwordHash = await passwords.hash(password)
  await registerUser(query, { name: username, role: 'Administrator', passwordHash })
  const { secret } = await registerClient(query, passwords, { id: clientId, secret: 'generated' })
  const clientWords = `-u ${clientId}:${secret} `
  const userWords = `-d username=${username} -d password=${password}`
  return `
A new database. One client and one user were made for you; this is the only time their credentials are shown.

  client    ${clientId}
  secret    ${secret}
  user      ${username}
  password  ${password}
${showExample(config, clientWords, userWords)}
`
}

/** A command for the first dialect that takes a password; none where only devices sign in. */
function showExample(config: Config, clientWords: string, userWords: string): string {
  const dialect = config.dialects.find(({ grant }) => grant === 'password')
  if (!dialect) return ''
  const { client, path, name } = dialect
  const grantType = name === 'envelope' ? '' : '-d grant_type=password '
  return `
Ask for a token from another terminal:

  curl ${client === 'authenticated' ? clientWords : ''}http://${reachableHost(config.host)}:${config.port || 'PORT'}${path} \\
    ${grantType}${userWords}
`
}

/** The address to ask where the one listened on is a wildcard. */
function reachableHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}
