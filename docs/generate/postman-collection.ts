import {
  type Body,
  type Described,
  type Description,
  findResponse,
  findSchema,
  type Operation,
  readFirstSentence,
  type Schema,
  schemeExamples,
} from './openapi-description.ts'
import { about, type Folder, folders, type Scenario, signInFirst } from './postman-scenarios.ts'

/** An item of a collection in Postman's format 2.1: a folder or a request. */
type Item = object

/**
 * Writes the Postman collection. Requests, expected statuses, codes, fields and headers come from `openapi.yaml`. The
 * scenarios select the requests and say what makes the server refuse one.
 */
export function writePostmanCollection(description: Description): string {
  const collection = {
    info: {
      name: 'fastify-password-grant',
      description: about,
      schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json',
    },
    item: folders.map((folder) => describeFolder(folder, description)),
    event: [listen('prerequest', signInFirst)],
  }
  return `${JSON.stringify(collection, null, 2)}\n`
}

function describeFolder(folder: Folder, description: Description): Item {
  const { name, about, dialect, uncached = false, items } = folder
  const leftOut = dialect ? `Skipped unless \`dialects\` in the environment names \`${dialect}\`.` : ''
  return {
    name,
    description: [about, leftOut].join(' ').trim(),
    item: items.map((item) =>
      'items' in item ? describeFolder(item, description) : describeRequest(item, description),
    ),
    event: [
      ...(dialect ? [listen('prerequest', skipUnlessDialect(dialect))] : []),
      ...(uncached ? [listen('test', uncachedTest)] : []),
    ],
  }
}

function skipUnlessDialect(dialect: string): string[] {
  return [
    "const dialects = (pm.environment.get('dialects') || 'webapi').split(',').map((name) => name.trim())",
    `if (!dialects.includes('${dialect}')) pm.execution.skipRequest()`,
  ]
}

const uncachedTest = [
  "pm.test('No cache may store the response', () => {",
  "  pm.response.to.have.header('Cache-Control', 'no-store')",
  "  pm.response.to.have.header('Pragma', 'no-cache')",
  '})',
]

function listen(when: 'prerequest' | 'test', exec: readonly string[]): object {
  return { listen: when, script: { type: 'text/javascript', exec } }
}

/** The parts of `openapi.yaml` that a scenario names. */
interface Found {
  readonly method: string
  readonly path: string
  readonly operation: Operation
  readonly status: number
  readonly response: Described
  /** The body that is expected, where one is described by an example. */
  readonly body: Body | null
  readonly situation: string
}

/** Finds what a scenario names. Throws Error where `openapi.yaml` no longer has it. */
function findDescribed({ name, response: wanted }: Scenario, description: Description): Found {
  if (typeof wanted !== 'string') {
    const { error, ...described } = wanted
    return { ...described, operation: {}, response: {}, body: { error } }
  }
  const [method = '', path = '', status = '', example] = wanted.split(' ')
  const operation = description.paths[path]?.[method.toLowerCase()]
  const described = operation?.responses?.[status]
  if (!operation || !described) throw new Error(`openapi.yaml has no ${wanted}, which "${name}" expects.`)
  const response = findResponse(description, described)
  const { example: only, examples } = response.content?.['application/json'] ?? {}
  const chosen = example === undefined ? null : examples?.[example]
  if (chosen === undefined) throw new Error(`openapi.yaml has no example ${wanted}, which "${name}" expects.`)
  const hasOwnSummary = chosen && !schemeExamples.includes(example ?? '')
  const situation = hasOwnSummary ? chosen.summary : readFirstSentence(response.description ?? '')
  return { method, path, operation, status: Number(status), response, body: chosen?.value ?? only ?? null, situation }
}

function describeRequest(scenario: Scenario, description: Description): Item {
  const found = findDescribed(scenario, description)
  const { name, needs, before = [], after = [] } = scenario
  const skip = needs ? [`if (!pm.environment.get('${needs}')) pm.execution.skipRequest()`] : []
  const prerequest = [...skip, ...before]
  return {
    name,
    ...(found.method === 'GET' && bodyOf(scenario, found, description) ? sendsBodyWithGet : {}),
    event: [
      ...(prerequest.length > 0 ? [listen('prerequest', prerequest)] : []),
      listen('test', [...expect(scenario, found, description), ...after]),
    ],
    request: {
      method: scenario.method ?? found.method,
      header: Object.entries(headersOf(scenario)).map(([key, value]) => ({ key, value })),
      auth: authOf(scenario, found),
      ...bodyOf(scenario, found, description),
      url: urlOf(scenario, found),
      description: describe(scenario, found),
    },
  }
}

const sendsBodyWithGet = { protocolProfileBehavior: { disableBodyPruning: true } }

/** Describes the request and the response for people. */
function describe({ about, needs }: Scenario, { operation, status, body, situation }: Found): string {
  const code = body?.error ?? body?.errors?.code
  const [paragraph = ''] = (operation.description ?? '').split('\n\n')
  const said = isRefusal(status, body)
    ? `${status}${code ? ` \`${code}\`` : ''}: ${situation.replace(/\.?$/, '.')}`
    : about === undefined && paragraph.trim().replaceAll(/\s+/g, ' ')
  const skipped = needs ? `Skipped while \`${needs}\` in the environment is empty.` : ''
  return [said, about, skipped].filter(Boolean).join('\n\n')
}

function isRefusal(status: number, body: Body | null): boolean {
  return status >= 400 || body?.success === false
}

function headersOf({ body, headers = {} }: Scenario): Record<string, string> {
  const type = body && 'raw' in body ? body.type : body?.as
  return type === undefined || type === 'multipart/form-data' ? headers : { 'Content-Type': type, ...headers }
}

/** As the operation demands, unless the scenario authenticates otherwise. */
function authOf({ auth }: Scenario, { operation }: Found): object {
  const schemes = (operation.security ?? []).flatMap((one) => Object.keys(one))
  if (auth === 'none') return { type: 'noauth' }
  if (auth) return 'token' in auth ? bearerAuth(auth.token) : basicAuth(auth.id, auth.secret)
  if (schemes.includes('client')) return basicAuth('{{clientId}}', '{{clientSecret}}')
  return schemes.includes('bearer') ? bearerAuth('{{accessToken}}') : { type: 'noauth' }
}

function basicAuth(id: string, secret: string): object {
  return { type: 'basic', basic: [pair('username', id), pair('password', secret)] }
}

function bearerAuth(token: string): object {
  return { type: 'bearer', bearer: [pair('token', token)] }
}

function pair(key: string, value: string): object {
  return { key, value, type: 'string' }
}

function urlOf({ path: sent, query }: Scenario, { path: described }: Found): object {
  const path = sent ?? described
  const pairs = Object.entries(query ?? {}).map(([key, value]) => ({ key, value }))
  const text = pairs.map(({ key, value }) => `${key}=${value}`).join('&')
  return {
    raw: `{{baseUrl}}${path}${text && `?${text}`}`,
    host: ['{{baseUrl}}'],
    path: path.slice(1).split('/'),
    ...(pairs.length > 0 ? { query: pairs } : {}),
  }
}

/** The value to send for a field. */
const values: Readonly<Record<string, string>> = {
  username: '{{username}}',
  userName: '{{username}}',
  password: '{{password}}',
  token: '{{accessToken}}',
  device_key: '{{deviceKey}}',
  timestamp: '{{deviceTimestamp}}',
  device_signature: '{{deviceSignature}}',
}

/** The described body with the fields of the scenario. A request with another method, or without fields, has none. */
function bodyOf(scenario: Scenario, found: Found, description: Description): { body: object } | null {
  const { body, method, withoutBody } = scenario
  if (method !== undefined || withoutBody) return null
  if (body && 'raw' in body) return { body: { mode: 'raw', raw: body.raw } }
  const described = found.operation.requestBody ?? description.paths[found.path]?.['post']?.requestBody
  if (described === undefined || found.path.startsWith('/seats')) return null
  const type = body?.as ?? Object.keys(described.content)[0] ?? ''
  const schema = findSchema(description, described.content[type]?.schema ?? {})
  const fields = fieldsOf(scenario, schema)
  const listed = fields.map(([key, value]) => ({ key, value, type: 'text' }))
  if (type === 'application/x-www-form-urlencoded') return { body: { mode: 'urlencoded', urlencoded: listed } }
  if (type === 'multipart/form-data') return { body: { mode: 'formdata', formdata: listed } }
  const raw = type.endsWith('/xml') ? writeXml(fields, schema) : JSON.stringify(Object.fromEntries(fields), null, 2)
  return { body: { mode: 'raw', raw } }
}

function fieldsOf({ fields = {}, repeated = {} }: Scenario, { required, properties = {} }: Schema): [string, string][] {
  const names = required ?? Object.keys(properties).filter((name) => values[name] !== undefined)
  const needed = names.map((name) => [name, properties[name]?.const ?? values[name] ?? ''] as const)
  const all = { ...Object.fromEntries(needed), ...fields }
  const sent = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== null)
  return [...sent, ...Object.entries(repeated)]
}

function writeXml(fields: readonly [string, string][], { xml }: Schema): string {
  const elements = fields.map(([name, value]) => `  <${name}>${value}</${name}>\n`)
  return `<${xml?.name} xmlns="${xml?.namespace}">\n${elements.join('')}</${xml?.name}>`
}

/** The tests of a response. */
function expect(scenario: Scenario, found: Found, description: Description): string[] {
  const { status, body } = found
  if (scenario.prepares) return [`pm.test('It prepares another request', () => pm.response.to.have.status(${status}))`]
  const tests = isRefusal(status, body) ? expectRefusal(scenario, found) : expectAnswer(scenario, found, description)
  return [...tests, ...expectHeaders(found)]
}

function test(name: string, lines: readonly string[]): string[] {
  return [`pm.test('${name}', () => {`, ...lines.map((line) => `  ${line}`), '})']
}

function expectAnswer({ isText }: Scenario, found: Found, description: Description): string[] {
  const { status, situation, response } = found
  const fields = isText ? [] : fieldsOfAnswer(found, description)
  const isEmpty = response.content === undefined
  return test(situation.replace(/\.$/, '').replaceAll("'", '’'), [
    `pm.response.to.have.status(${status})`,
    ...(isEmpty ? ["pm.expect(pm.response.text()).to.equal('')"] : []),
    ...(fields.length > 0 ? [`pm.expect(pm.response.json()).to.include.all.keys(${fields.join(', ')})`] : []),
  ])
}

/** The fields of the example; without one, those that the schema demands. */
function fieldsOfAnswer({ body, response }: Found, description: Description): string[] {
  if (Array.isArray(body)) return []
  const { required = [] } = findSchema(description, response.content?.['application/json']?.schema ?? {})
  return (body ? Object.keys(body) : required).map((name) => `'${name}'`)
}

function expectRefusal({ isText }: Scenario, { status, body }: Found): string[] {
  const { error, errors, message } = body ?? {}
  const lines = [`pm.response.to.have.status(${status})`]
  if (isText) {
    const text = `<Error><error>${error}</error><error_description>[^<]+</error_description></Error>`
    return test(`${status} ${error}, in XML`, [
      ...lines,
      `pm.expect(pm.response.text()).to.match(/^${text.replaceAll('/', '\\/')}$/)`,
    ])
  }
  if (errors) {
    return test(`${status}, code ${errors.code}`, [
      ...lines,
      'const { success, errors, ...rest } = pm.response.json()',
      'pm.expect([success, rest]).to.eql([false, {}])',
      `pm.expect(errors).to.include({ type: '${errors.type}', code: '${errors.code}' })`,
      "pm.expect(errors.message).to.be.a('string')",
    ])
  }
  if (error === undefined) {
    return test(`${status} without a code`, [
      ...lines,
      "pm.expect(pm.response.json()).to.have.all.keys('error_description')",
    ])
  }
  return test(`${status} ${error}`, [
    ...lines,
    `pm.expect(pm.response.json().error).to.equal('${error}')`,
    `pm.expect(pm.response.json().${message === undefined ? 'error_description' : 'message'}).to.be.a('string')`,
    ...(message === undefined ? [] : ["pm.expect(pm.response.json()).to.not.have.property('token')"]),
  ])
}

function expectHeaders({ path, body, response, status }: Found): string[] {
  const { headers = {} } = response
  const has = (name: string) => headers[name] !== undefined
  return [
    ...(headers['Cache-Control']?.$ref && status < 400
      ? test('No cache may store the response', ["pm.response.to.have.header('Cache-Control', 'no-store')"])
      : []),
    ...(has('WWW-Authenticate') ? expectChallenge(body ?? {}) : []),
    ...(has('X-RateLimit-Limit')
      ? test('The headers tell how many requests are left', [
          "for (const name of ['Limit', 'Remaining', 'Reset']) pm.response.to.have.header('X-RateLimit-' + name)",
        ])
      : []),
    ...(has('Retry-After')
      ? test('Retry-After tells when to try again', [
          "pm.expect(Number(pm.response.headers.get('Retry-After'))).to.be.above(0)",
        ])
      : []),
    ...(has('Allow') ? expectAllow(path, body) : []),
  ]
}

/** The scheme is Basic for a client, Token in the envelope, and otherwise Bearer with the code of the refusal. */
function expectChallenge({ error, errors }: Body): string[] {
  const scheme = errors ? 'Token' : error === 'invalid_client' ? 'Basic' : 'Bearer'
  const code = scheme === 'Bearer' && error ? `, error="${error}", ` : scheme === 'Basic' ? '' : '$'
  return test(`The challenge names the scheme ${scheme}`, [
    `pm.expect(pm.response.headers.get('WWW-Authenticate')).to.match(/^${scheme} realm="[^"]+"${code}/)`,
  ])
}

/** The methods stand in the sentence, or where the envelope has no such sentence it is POST. */
function expectAllow(path: string, body: Body | null): string[] {
  const said = /^Use (.+)\.$/.exec(body?.error_description ?? body?.message ?? '')?.[1]
  const allowed = said?.replace(' or ', ', ') ?? (path === '/userinfo' ? 'GET, HEAD' : 'POST')
  return test('Allow names the methods of the path', [`pm.response.to.have.header('Allow', '${allowed}')`])
}
