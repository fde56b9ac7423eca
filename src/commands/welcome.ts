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
  const path = config.dialects[0]?.path ?? '/Token'
  return `
A new database. One client and one user were made for you; this is the only time their credentials are shown.

  client    ${clientId}
  secret    ${secret}
  user      ${username}
  password  ${password}

Ask for a token from another terminal:

  curl -u ${clientId}:${secret} http://${reachableHost(config.host)}:${config.port || 'PORT'}${path} \\
    -d grant_type=password -d username=${username} -d password=${password}

`
}

/** The address to ask where the one listened on is a wildcard. */
function reachableHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}
