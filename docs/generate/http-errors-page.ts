import { OAuthError, type OAuthErrorCode } from '../../src/errors.ts'
import { notUnderstood } from '../../src/http/refuse-broken-request.ts'
import { type GuardRefusal, listGuardRefusals } from './list-guard-refusals.ts'
import {
  type Body,
  type Described,
  type Description,
  findResponse,
  readFirstSentence,
  schemeExamples,
} from './openapi-description.ts'
import { sourceNote } from './source-note.ts'
import { writeTable } from './write-table.ts'

const meanings: Record<OAuthErrorCode, string> = {
  invalid_request: 'The request is malformed: correct it before you send it again.',
  invalid_client: 'The client is not authenticated.',
  invalid_grant: 'The user name, the password or the signature of a device is wrong.',
  invalid_token: 'The token is not live. Sign in again.',
  insufficient_scope: 'The token does not have the role that a guarded route needs. Only the guard sends this code.',
  unauthorized_client: 'The token belongs to another client.',
  unsupported_grant_type: 'The server supports `grant_type=password` only.',
  slow_down: 'There were too many attempts. Wait for the seconds in `Retry-After`.',
  not_found: 'The path or the seat does not exist.',
  temporarily_unavailable: 'The server cannot answer now. Wait for the seconds in `Retry-After` and retry.',
  server_error: 'The server has a fault. Its log has the cause.',
}

const methods = ['post', 'get', 'delete'] as const

/** Writes the page of all refusals, from the error codes of the server and from `openapi.yaml`. */
export async function writeHttpErrorsPage(description: Description): Promise<string> {
  return `# HTTP errors

${sourceNote('`openapi.yaml` and the error codes in `src/errors.ts`')}

Look up what an error response means and what to do about it.

- Branch on \`error\`, not on \`error_description\`. The code is stable; the sentence is for people and may change.
- Only 400 and 401 are verdicts on credentials or tokens. A 503 says nothing about them: wait and retry.
- The \`envelope\` dialect sends two verdicts with status 200. Branch on \`errors.code\` there.
- With \`WEBAPI_PARITY=true\`, \`/Token\` sends every refusal of a client or a user with status 400.
- Error responses are never cached: each has \`Cache-Control: no-store\`.

## Codes

${writeTable(['`error`', 'usual status', 'meaning'], Object.entries(meanings).map(writeCode))}

## Any path

${writeTable(['status', 'code', 'situation', 'sentence'], listAnyPath(description))}

These responses repeat nothing of the request.

${writeSections(description).join('\n\n')}

## Guarded routes

The guard refuses requests to the routes of a backend. The error handler of the backend writes the body. Fastify's own
handler sends the code as \`code\` and the sentence as \`message\`. Each refusal except 503 has \`WWW-Authenticate\`; a 503 has
\`Retry-After\`.

${writeTable(['status', 'code', 'situation', 'sentence'], (await listGuardRefusals()).map(writeGuardRefusal))}
`
}

function writeCode([code, meaning]: [string, string]): string[] {
  return [`\`${code}\``, String(new OAuthError(code as OAuthErrorCode, '').status), meaning] // a key of the table
}

/** The refusals of every path. A closed dialect answers as a path that does not exist. */
function listAnyPath(description: Description): string[][] {
  const [notFound] = listRows(description.paths['/v2/token']?.['post']?.responses ?? {}, description).filter(
    ({ status }) => status === '404',
  )
  if (notFound === undefined) throw new Error('openapi.yaml has no 404 at /v2/token.')
  const { code, description: sentence } = notUnderstood
  const unreadable = (status: string, situation: string) => [status, `\`${code}\``, situation, `\`${sentence}\``]
  return [
    ['404', notFound.code, 'No endpoint has this path.', `\`${notFound.sentence}\``],
    unreadable('400', 'The server cannot parse the request as HTTP.'),
    unreadable('408', 'The request did not arrive in time.'),
    unreadable('417', 'The `Expect` header is not `100-continue`.'),
    unreadable('431', 'The headers are too large.'),
  ]
}

function writeGuardRefusal({ status, code, situation, sentence }: GuardRefusal): string[] {
  return [String(status), code === undefined ? 'none' : `\`${code}\``, situation, `\`${sentence}\``]
}

/** One refusal of one operation. */
interface Row {
  readonly status: string
  readonly code: string
  readonly situation: string
  readonly sentence: string
  readonly headers: readonly string[]
}

/** A section for each operation that refuses. What an earlier one has in common with it is not repeated. */
function writeSections(description: Description): string[] {
  const written = new Map<string, readonly Row[]>()
  return Object.entries(description.paths).flatMap(([path, item]) =>
    methods.flatMap((method) => {
      const operation = `${method.toUpperCase()} ${path}`
      const rows = listRows(item[method]?.responses ?? {}, description)
      if (rows.length === 0) return []
      const section = writeSection(rows, written)
      written.set(operation, rows)
      return [`## ${operation}\n\n${section}`]
    }),
  )
}

function writeSection(rows: readonly Row[], written: ReadonlyMap<string, readonly Row[]>): string {
  for (const [operation, others] of written) {
    const more = rows.filter((row) => !includes(others, row))
    const missing = new Set(others.filter((row) => !includes(rows, row)).map(({ status }) => status))
    const isWhole = rows.every(({ status }) => !missing.has(status))
    if (!isWhole || missing.size > 2) continue // too little in common to refer to
    const same = `The errors are those of \`${operation}\`${missing.size === 0 ? '' : `, except ${[...missing].join(' and ')}`}`
    return more.length === 0 ? `${same}.` : `${same}. Besides these:\n\n${writeRows(more)}`
  }
  return writeRows(rows)
}

function includes(rows: readonly Row[], row: Row): boolean {
  return rows.some((one) => JSON.stringify(one) === JSON.stringify(row))
}

function writeRows(rows: readonly Row[]): string {
  const [first] = rows
  const common = first?.headers.filter((name) => rows.every(({ headers }) => headers.includes(name))) ?? []
  const note = common.length === 0 ? '' : `Each response has ${nameHeaders(common)}.\n\n`
  const cells = rows.map(({ status, code, situation, sentence, headers }) => [
    status,
    code,
    situation,
    `\`${sentence}\``,
    nameHeaders(headers.filter((name) => !common.includes(name))),
  ])
  return note + writeTable(['status', 'code', 'situation', 'sentence', 'headers'], cells)
}

function nameHeaders(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ') || 'none'
}

function listRows(responses: Readonly<Record<string, Described>>, description: Description): Row[] {
  return Object.entries(responses).flatMap(([status, response]) =>
    readResponse(status, findResponse(description, response)),
  )
}

/** The rows of one status. Every type of content says the same, so the JSON stands for all. */
function readResponse(status: string, { description = '', headers = {}, content = {} }: Described): Row[] {
  const { example, examples = {} } = content['application/json'] ?? {}
  const situation = readFirstSentence(description)
  const said = example
    ? [{ situation, value: example }]
    : Object.entries(examples).map(([name, { summary, value }]) => ({
        situation: schemeExamples.includes(name) ? `${situation} ${summary}` : summary,
        value,
      }))
  return said
    .filter(({ value }) => Number(status) >= 400 || value.success === false)
    .map(({ situation, value }) => ({
      status,
      code: readCode(value),
      situation: asSentence(situation),
      sentence: readSentence(value),
      headers: Object.keys(headers).filter((name) => !everywhere.includes(name)),
    }))
}

const everywhere = ['Cache-Control', 'Pragma', 'Vary']

function readCode({ error, errors }: Body): string {
  const code = error ?? errors?.code
  return code === undefined ? 'none' : `\`${code}\``
}

function readSentence({ error_description, message, errors, reason }: Body): string {
  return error_description ?? message ?? errors?.message ?? reason ?? ''
}

function asSentence(text: string): string {
  return text.endsWith('.') ? text : `${text}.`
}
