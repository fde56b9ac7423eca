import type { Command } from 'commander'
import type { Database } from '../database/database.ts'
import { httpDate } from '../http-date.ts'
import { type ListedToken, listTokens } from '../tokens/list-tokens.ts'
import { revokeTokenOfDevice, revokeTokensOfUser } from '../tokens/revoke-token.ts'
import { refuseSignInsUnderWay, requireUser } from '../users/register-user.ts'
import { type Answer, type AnswerWith, findPages, type ListAnswer, type ListedRow } from './answer.ts'

/** The words of `password-grant token`. */
export function addTokenCommands(program: Command, answerWith: AnswerWith): void {
  const group = program.command('token').description('what was given')
  group
    .command('list')
    .description('tokens, never their values')
    .option('--user <username>', 'of this user only')
    .action((options: { user?: string }) => answerWith(({ database }) => showTokens(database, options.user)))
  group
    .command('revoke')
    .description('end every token of a user, or the one of a device')
    .requiredOption('--user <username>', 'whose')
    .option('--device <label>', 'only in the seat with this label ("" is the one without)')
    .action(({ user, device }: { user: string; device?: string }) =>
      answerWith(({ database }) => revokeTokens(database, user, device)),
    )
}

/** `token list`: the tokens of one user or of all, never their values. */
async function showTokens({ query }: Database, userName: string | undefined): Promise<ListAnswer> {
  const user = userName === undefined ? null : await requireUser(query, userName)
  return {
    heading: ['USER', 'DEVICE', 'CLIENT', 'STATE', 'ISSUED', 'EXPIRES'],
    pages: findPages((after: ListedToken | null) => listTokens(query, user?.id ?? null, after), describeRow),
  }
}

function describeRow(token: ListedToken): ListedRow {
  const { userName, device, clientId, state } = token
  const cells = [userName, device, clientId, state, httpDate(token.issuedAt), httpDate(token.expiresAt)]
  return { json: describe(token), cells }
}

/** `token revoke --user`: ends every live token of a user, or that of one device, and every sign-in under way. */
async function revokeTokens(database: Database, userName: string, device: string | undefined): Promise<Answer> {
  return database.transaction(async (query) => {
    const user = await refuseSignInsUnderWay(query, userName)
    const revoked = await (device === undefined
      ? revokeTokensOfUser(query, user.id)
      : revokeTokenOfDevice(query, user.id, device))
    return { json: { revoked }, text: `${revoked} revoked.` }
  })
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
