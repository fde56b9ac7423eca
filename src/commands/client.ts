import { type Command, InvalidArgumentError } from 'commander'
import {
  listClients,
  type NewClient,
  type RegisteredClient,
  registerClient,
  removeClient,
  rotateClient,
  setClientEnabled,
} from '../clients/register-client.ts'
import type { Database } from '../database/database.ts'
import type { Passwords } from '../passwords/password.ts'
import { isShortSecret } from '../secrets.ts'
import { revokeTokensOfClient } from '../tokens/revoke-token.ts'
import { type Answer, type AnswerWith, findPages, type ListAnswer } from './answer.ts'

/** The words of `password-grant client`. */
export function addClientCommands(program: Command, answerWith: AnswerWith): void {
  const group = program.command('client').description('applications that may ask for tokens')
  group
    .command('add <id>')
    .description('add a client and print its generated secret, once')
    .option('--public', 'a client that cannot keep a secret')
    .option('--secret-stdin', 'read a chosen secret from standard input')
    .option('--allow-short-secret', 'accept a chosen secret of fewer than 16 characters, from an older system')
    .option('--lifetime <seconds>', 'how long its tokens live', wholeSeconds)
    .option('--trusted', 'your own backend: says in X-Forwarded-For for whom it asks')
    .action((id: string, options: AddOptions) => {
      if (options.public && options.secretStdin) program.error('error: a public client has no secret')
      if (options.public && options.trusted) program.error('error: a public client cannot be trusted')
      return answerWith(async ({ database, passwords, readSecret }) => {
        const chosen = options.secretStdin ? await readSecret() : null
        if (chosen !== null && options.allowShortSecret && isShortSecret(chosen)) warnOfShortSecret()
        const given = chosen === null ? 'generated' : { chosen, allowShort: options.allowShortSecret }
        const secret = options.public ? 'public' : given
        const { lifetime: lifetimeSeconds, trusted: isTrusted } = options
        return addClient(database, await passwords(), { id, secret, lifetimeSeconds, isTrusted })
      })
    })
  group
    .command('rotate <id>')
    .description('give a client a new secret and print it, once')
    .option('--overlap <seconds>', 'how long the old secret still counts', wholeSeconds, 0)
    .action((id: string, options: { overlap: number }) =>
      answerWith(({ database }) => rotateClientSecret(database, id, options.overlap)),
    )
  const onId = (name: string, description: string, act: (database: Database, id: string) => Promise<Answer>) =>
    group
      .command(`${name} <id>`)
      .description(description)
      .action((id: string) => answerWith(({ database }) => act(database, id)))
  onId('disable', 'refuse a client and end its tokens', disableClient)
  onId('enable', 'let a disabled client ask again', enableClient)
  onId('remove', 'remove a client and its tokens', deleteClient)
  group
    .command('list')
    .description('all clients')
    .action(() => answerWith(({ database }) => showClients(database)))
}

/** The options of `client add`. */
interface AddOptions {
  readonly public?: true
  readonly secretStdin?: true
  readonly allowShortSecret?: true
  readonly lifetime?: number
  readonly trusted?: true
}

function warnOfShortSecret(): void {
  process.stderr.write('The secret has fewer than 16 characters and can be guessed. Replace it with `client rotate`.\n')
}

function wholeSeconds(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Expected a whole number of seconds.')
  return Number(text)
}

/** `client add`: the generated secret is shown this once; a chosen one is not repeated. */
async function addClient(database: Database, passwords: Passwords, client: NewClient): Promise<Answer> {
  const { secret } = await registerClient(database.query, passwords, client)
  return showSecret(client.id, secret, 'added')
}

/** `client rotate`: a new secret; the old one counts for the overlap. */
async function rotateClientSecret(database: Database, id: string, overlapSeconds: number): Promise<Answer> {
  return showSecret(id, await rotateClient(database.query, id, overlapSeconds), 'has a new secret')
}

/** `client disable`: its tokens end in the same transaction. */
async function disableClient(database: Database, id: string): Promise<Answer> {
  return database.transaction(async (query) => {
    const client = await setClientEnabled(query, id, false)
    await revokeTokensOfClient(query, id)
    return show(client, 'disabled')
  })
}

async function enableClient(database: Database, id: string): Promise<Answer> {
  return show(await setClientEnabled(database.query, id, true), 'enabled')
}

/** `client remove`: its tokens go with it. */
async function deleteClient(database: Database, id: string): Promise<Answer> {
  return show(await removeClient(database.query, id), 'removed')
}

async function showClients({ query }: Database): Promise<ListAnswer> {
  return {
    heading: ['CLIENT', 'KIND', 'STATE', 'LIFETIME'],
    pages: findPages(
      (after: RegisteredClient | null) => listClients(query, after),
      (client) => ({
        json: describe(client),
        cells: [
          client.id,
          findKind(client),
          client.isEnabled ? 'enabled' : 'disabled',
          client.lifetimeSeconds === null ? 'default' : `${client.lifetimeSeconds} s`,
        ],
      }),
    ),
  }
}

function findKind({ isBuiltIn, isPublic, isTrusted }: RegisteredClient): string {
  if (isBuiltIn) return 'built-in'
  if (isPublic) return 'public'
  return isTrusted ? 'trusted' : 'confidential'
}

function describe(client: RegisteredClient): object {
  return {
    client_id: client.id,
    public: client.isPublic,
    built_in: client.isBuiltIn,
    trusted: client.isTrusted,
    enabled: client.isEnabled,
    lifetime: client.lifetimeSeconds,
    created: client.createdAt.toISO(),
  }
}

function show(client: RegisteredClient, done: string): Answer {
  return { json: describe(client), text: `Client ${client.id} ${done}.` }
}

function showSecret(id: string, secret: string | null, done: string): Answer {
  if (secret === null) return { json: { client_id: id }, text: `Client ${id} ${done}.` }
  return {
    json: { client_id: id, client_secret: secret },
    text: `Client ${id} ${done}. Its secret, shown only now:\n${secret}`,
  }
}
