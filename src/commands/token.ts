import type { Command } from 'commander'
import type { Database } from '../database/database.ts'
import { httpDate } from '../http-date.ts'
import { listTokens } from '../operations/lists.ts'
import { revokeTokens } from '../operations/tokens.ts'
import type { ListedToken } from '../tokens/list-tokens.ts'
import { type AnswerWith, describePages, type ListAnswer, type ListedRow } from './answer.ts'

/** Adds the commands of `password-grant token`. */
export function addTokenCommands(program: Command, answerWith: AnswerWith): void {
  const group = program.command('token').description('Manage issued tokens')
  group
    .command('list')
    .description('List tokens, without their values')
    .option('--user <username>', 'Only the tokens of this user')
    .action((options: { user?: string }) => answerWith(async ({ database }) => showTokens(database, options.user)))
  group
    .command('revoke')
    .description('End all tokens of a user, or the token of one device')
    .requiredOption('--user <username>', 'The user whose tokens to end')
    .option('--device <label>', 'End only the token in the seat with this device label; "" is the seat without a label')
    .action(({ user, device }: { user: string; device?: string }) =>
      answerWith(async ({ database }) => {
        const revoked = await revokeTokens({ database }, user, { device })
        return { json: { revoked }, text: `${revoked} revoked.` }
      }),
    )
}

/** Lists the tokens of one user or of all users, never their values. */
function showTokens(database: Database, userName: string | undefined): ListAnswer {
  return {
    heading: ['USER', 'DEVICE', 'CLIENT', 'STATE', 'ISSUED', 'EXPIRES'],
    pages: describePages(listTokens({ database }, { userName }), describeRow),
  }
}

function describeRow(token: ListedToken): ListedRow {
  const { userName, device, clientId, state } = token
  const cells = [userName, device, clientId, state, httpDate(token.issuedAt), httpDate(token.expiresAt)]
  return { json: describe(token), cells }
}

function describe(token: ListedToken): object {
  return {
    id: token.id,
    userName: token.userName,
    userId: token.userId,
    client_id: token.clientId,
    device: token.device,
    state: token.state,
    '.issued': httpDate(token.issuedAt),
    '.expires': httpDate(token.expiresAt),
  }
}
