import { SaxesParser } from 'saxes'
import type { Known } from './known.ts'
import { type Answer, headerOf } from './read-answers.ts'
import { markerPrefix, type Shot } from './write-request.ts'

/** Behaviour that depends on the settings of a server. */
export interface Allowed {
  /** Whether `/Token` answers with the caching headers of the server that it replaces. */
  readonly hasParity?: boolean
  /** Whether the envelope names a user that does not exist. */
  readonly hasDebug?: boolean
}

/** Lists everything that is wrong with an answer. */
export function judge(answer: Answer, shot: Shot, known: Known, allowed: Allowed): string[] {
  const faults: string[] = []
  if (answer.status >= 500) faults.push(`status ${answer.status}`)
  if (shot.isAboutTokens && !isUnkept(answer, shot, allowed)) faults.push('an answer that may be kept')
  for (const [name] of answer.headers) if (!headerNames.has(name)) faults.push(`the header ${name}`)
  if (repeatsHeader(answer)) faults.push('a word of the request in a header')
  const document = readDocument(answer, shot)
  if (typeof document === 'string') faults.push(document)
  else if (answer.status >= 400 && document !== null && !isRefusal(document))
    faults.push('a refusal in words of others')
  if (repeatsBody(answer, shot, document, allowed)) faults.push('a word of the request in the body')
  const said = answer.text.replace(labels, '') // a label is returned even if it equals a password
  if ([known.password, known.client.secret, known.customerKey].some((secret) => said.includes(secret))) {
    faults.push('a secret in the answer')
  }
  if (!shot.isProven && shot.isFramed && isOpening(answer)) faults.push('a token for nothing')
  return faults
}

/** Members that return a name or a label from the request. */
const labels = /"(clientKey|device|username)":"(?:[^"\\]|\\.)*"|<clientKey>[^<]*<\/clientKey>/g

/** The headers that the server sends. Set-Cookie, Server and X-Powered-By are not among them. */
const headerNames = new Set([
  ...['date', 'connection', 'keep-alive', 'content-type', 'content-length', 'transfer-encoding'],
  ...['cache-control', 'pragma', 'expires', 'vary', 'allow', 'retry-after', 'www-authenticate'],
  ...['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset'],
  ...['access-control-allow-origin', 'access-control-allow-methods', 'access-control-allow-headers'],
  ...['access-control-expose-headers', 'access-control-max-age'],
  ...['content-security-policy', 'x-content-type-options', 'referrer-policy'],
  ...['etag', 'last-modified', 'accept-ranges', 'content-range', 'location'], // of the files of /docs
])

function isUnkept(answer: Answer, { endpoint }: Shot, { hasParity }: Allowed): boolean {
  if (isPreflight(answer)) return true
  const control = headerOf(answer, 'cache-control')
  if (control === 'no-store') return true
  return hasParity === true && endpoint === '/Token' && control === 'no-cache' && headerOf(answer, 'expires') === '-1'
}

/** Tells whether a request is a CORS preflight (Fetch §3.2). Its answer carries no token and may be cached. */
function isPreflight(answer: Answer): boolean {
  return answer.status === 204 && headerOf(answer, 'access-control-allow-methods') !== ''
}

function repeatsHeader({ headers }: Answer): boolean {
  return headers.some(([name, value]) => `${name}\n${value}`.toLowerCase().includes(markerPrefix))
}

/** Tells whether a body repeats text from the request. Labels of seats and the debug switch's unknown user may be repeated. */
function repeatsBody(
  { status, body }: Answer,
  { endpoint, isFramed }: Shot,
  document: unknown,
  { hasDebug }: Allowed,
): boolean {
  const repeats = (text: string) => text.toLowerCase().includes(markerPrefix)
  if (!repeats(body.toString('latin1'))) return false
  if (typeof document === 'string') return true
  const isAt = (...names: readonly string[]) => names.includes(endpoint) || !isFramed
  const isLabel = status === 200 && isAt('/v2/token', '/seats')
  if (document === xml) return !isLabel || repeats(body.toString().replace(/<clientKey>[^<]*<\/clientKey>/, ''))
  const members = [...(isLabel ? ['clientKey', 'device'] : []), ...(hasDebug && isAt('/v1/oauth/') ? ['username'] : [])]
  return repeats(JSON.stringify(document, (name, value) => (members.includes(name) ? '' : value)) ?? '')
}

const xml = Symbol('well-formed XML')

/** Reads a body by its type. Returns null for a type that is not read here, and a sentence if the body is malformed. */
function readDocument({ status, headers, body }: Answer, { method, endpoint, isFramed }: Shot): unknown {
  if (method === 'HEAD' || body.length === 0) {
    return status >= 400 && method !== 'HEAD' ? 'a refusal without a word' : null
  }
  const [type = ''] = headerOf({ headers }, 'content-type').split(';')
  const text = body.toString()
  if (!Buffer.from(text).equals(body) && /json|xml|javascript/.test(type)) return 'a text that is not UTF-8'
  if (/^(application\/json|text\/json)$/.test(type)) return readJson(text)
  if (/^(application|text)\/xml$/.test(type)) return readXml(text)
  if (type === 'text/javascript' && (endpoint === '/v2/token' || !isFramed)) return readJson(text)
  const isFile =
    status < 400 &&
    /^(text\/html|text\/css|text\/javascript|application\/javascript|application\/(x-)?yaml|image\/.+)$/.test(type)
  return isFile ? null : `a body of the type ${type || 'that nobody names'}`
}

function readJson(text: string): unknown {
  try {
    const document: unknown = JSON.parse(text)
    return typeof document === 'object' && document !== null ? document : 'JSON that is no object'
  } catch {
    return 'JSON that is none'
  }
}

function readXml(text: string): unknown {
  let isWellFormed = true
  const parser = new SaxesParser({ xmlns: true })
  parser.on('error', () => {
    isWellFormed = false
  })
  parser.write(text).close()
  return isWellFormed ? xml : 'XML that is none'
}

/** The shapes of refusals: an OAuth error, a device's error, an envelope, and a server that is not ready. */
function isRefusal(document: unknown): boolean {
  return document === xml || refusals.has(Object.keys(document as object).join())
}

const refusals = new Set([
  ...['error', 'error_description', 'error,error_description', 'error,message'],
  ...['success,errors', 'success,errors,debug', 'status,reason'],
])

function isOpening({ status, body }: Answer): boolean {
  return status === 200 && opening.test(body.toString('latin1', 0, 500))
}

/** The beginnings of answers that contain a token, or describe its user. */
const opening = /^(<OAuthToken|\{"(access_token|token|userName)":|\{"active":true|\{"success":true|\[\{"id":)/

/** Reads the token in an answer, or null. */
export function readToken({ status, body }: Answer): string | null {
  if (status !== 200 || body.length > 2_000) return null
  return /(?:"access_token":"|<access_token>|^\{"token":")([A-Za-z0-9_.-]+)/.exec(body.toString('latin1'))?.[1] ?? null
}
