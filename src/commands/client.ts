import { type Command, InvalidArgumentError } from 'commander'
import type { RegisteredClient } from '../clients/register-client.ts'
import type { Database } from '../database/database.ts'
import { addClient, disableClient, enableClient, removeClient, rotateClient } from '../operations/clients.ts'
import { listClients } from '../operations/lists.ts'
import type { Operator } from '../operations/operator.ts'
import { type Answer, type AnswerWith, type CommandTools, describePages, type ListAnswer } from './answer.ts'
import { tell } from './tell.ts'

/** Adds the commands of `password-grant client`. */
export function addClientCommands(program: Command, answerWith: AnswerWith): void {
  const group = program.command('client').description('Manage the applications that may request tokens')
  group
    .command('add')
    .description('Add a client and print its generated secret, this once')
    .argument('<id>', clientIdHelp)
    .option('--public', 'Add a public client, which has no secret')
    .option('--secret-stdin', 'Read a secret of your own from standard input')
    .option('--allow-short-secret', 'Accept a secret of fewer than 16 characters, taken over from an older system')
    .option('--lifetime <seconds>', 'How long the tokens of this client live', wholeSeconds)
    .option('--trusted', 'Trust this client, a backend of yours, to name the address of its user in X-Forwarded-For')
    .action((id: string, options: AddOptions) => {
      if (options.public && options.secretStdin) program.error('error: a public client has no secret')
      if (options.public && options.trusted) program.error('error: a public client cannot be trusted')
      return answerWith((tools) => add(tools, id, options))
    })
  group
    .command('rotate')
    .description('Give a client a new secret and print it, this once')
    .argument('<id>', clientIdHelp)
    .option('--overlap <seconds>', 'How long the old secret stays valid', wholeSeconds, 0)
    .action((id: string, { overlap }: { overlap: number }) => answerWith((tools) => rotate(tools, id, overlap)))
  const onId = (name: string, description: string, { act, done }: NamedAct) =>
    group
      .command(name)
      .description(description)
      .argument('<id>', clientIdHelp)
      .action((id: string) => answerWith(async ({ database }) => show(await act({ database }, id), done)))
  onId('disable', 'Disable a client and end its tokens', { act: disableClient, done: 'disabled' })
  onId('enable', 'Enable a disabled client again', { act: enableClient, done: 'enabled' })
  onId('remove', 'Remove a client and its tokens', { act: removeClient, done: 'removed' })
  group
    .command('list')
    .description('List all clients')
    .action(() => answerWith(async ({ database }) => showClients(database)))
}

const clientIdHelp = 'The id of the client'

/** The options of `client add`. */
interface AddOptions {
  readonly public?: true
  readonly secretStdin?: true
  readonly allowShortSecret?: true
  readonly lifetime?: number
  readonly trusted?: true
}

async function add(
  { database, passwords, readSecret }: CommandTools,
  id: string,
  options: AddOptions,
): Promise<Answer> {
  const given = options.secretStdin ? { chosen: await readSecret(), allowShort: options.allowShortSecret } : 'generated'
  const { secret, hasShortSecret } = await addClient({ database, passwords: await passwords() }, id, {
    secret: options.public ? 'public' : given,
    lifetimeSeconds: options.lifetime,
    isTrusted: options.trusted,
  })
  if (hasShortSecret) warnOfShortSecret()
  return showSecret(id, secret, 'added')
}

async function rotate({ database }: CommandTools, id: string, overlapSeconds: number): Promise<Answer> {
  return showSecret(id, await rotateClient({ database }, id, { overlapSeconds }), 'has a new secret')
}

/** A change of one client, and the word that describes the result. */
interface NamedAct {
  readonly act: (operator: Operator, id: string) => Promise<RegisteredClient>
  readonly done: string
}

function warnOfShortSecret(): void {
  tell('The secret has fewer than 16 characters and can be guessed. Replace it with `client rotate`.')
}

function wholeSeconds(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Expected a whole number of seconds.')
  return Number(text)
}

function showClients(database: Database): ListAnswer {
  return {
    heading: ['CLIENT', 'KIND', 'STATE', 'LIFETIME'],
    pages: describePages(listClients({ database }), (client) => ({
      json: describe(client),
      cells: [
        client.id,
        findKind(client),
        client.isEnabled ? 'enabled' : 'disabled',
        client.lifetimeSeconds === null ? 'default' : `${client.lifetimeSeconds} s`,
      ],
    })),
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

/** Shows a generated secret, which is the only time. Never repeats a chosen one. */
function showSecret(id: string, secret: string | null, done: string): Answer {
  if (secret === null) return { json: { client_id: id }, text: `Client ${id} ${done}.` }
  return {
    json: { client_id: id, client_secret: secret },
    text: `Client ${id} ${done}. Its secret, shown only now:\n${secret}`,
  }
}
