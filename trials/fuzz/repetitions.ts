import { drawnFrom } from './chance.ts'

/** A request that repeats one piece in one place, up to the size limit. */
export interface Repetition {
  readonly place: string
  readonly piece: string
  /** Writes the bytes on demand, since those of all repetitions would take a hundred megabytes. */
  readonly write: () => Buffer
}

const headLimit = 15_000
const bodyLimit = 16_384

const pieces = [
  ...['a', '0', 'A', '/', '&', '=', '+', '%', '"', "'", '\\', '{', '[', '}', ']', ',', ';', ':', '<', '>', ' ', '\t'],
  ...['-', '.', '?', '#', '*', '(', ')', '@', '!', '~', '\n', '\r\n', 'é', '\0'],
  ...['a,', 'a=', '&a', 'a=&', '%41', '%zz', '%2', '%C3', '{"', '[{', '":', '"",', '"a":1,', '"a":[', '\\"', '\\u0041'],
  ...['<a>', '<a/>', '</a>', '<!---->', '<?a?>', '<![CDATA[]]>', '&lt;', "a='' ", 'a;', ';q=', ';q=1,', '*/*,', 'a/a,'],
  ...['--', '\n--', '\r\n--edge', '--edge\r\n\r\n', '../', '/.', 'a:', '::', '1.', '127.0.0.1,', '::1,', 'a b', '""'],
]

/** The text after the repetition, at which a pattern that has matched so far may fail. */
const endings = ['', 'x']

type Write = (repeat: (limit: number) => string) => string

const form = 'application/x-www-form-urlencoded'
const edge = 'multipart/form-data; boundary=edge'
const field = '--edge\r\nContent-Disposition: form-data; name="'
const oauthRequest = '<OAuthRequest xmlns="http://schemas.datacontract.org/2004/07/Yindo.DAL.Types">'

const head = (first: string, ...lines: string[]) =>
  `${[`${first} HTTP/1.1`, 'Host: a', 'Connection: close', ...lines].join('\r\n')}\r\n`
const inHeader =
  (first: string, name: string, begin = ''): Write =>
  (repeat) =>
    `${head(first, `${name}: ${begin}${repeat(headLimit)}`, ...(first.startsWith('POST') ? ['Content-Length: 0'] : []))}\r\n`
const inBody =
  (path: string, type: string, begin = '', end = '', method = 'POST'): Write =>
  (repeat) => {
    const body = begin + repeat(bodyLimit - begin.length - end.length - 8) + end
    return `${head(`${method} ${path}`, `Content-Type: ${type}`, `Content-Length: ${Buffer.byteLength(body)}`)}\r\n${body}`
  }

/** The places in the head, where a line break would end the head. The other places follow below. */
const headPlaces: Readonly<Record<string, Write>> = {
  path: (repeat) => `${head(`GET /${repeat(headLimit)}`)}\r\n`,
  'path of a seat': (repeat) => `${head(`DELETE /seats/${repeat(headLimit)}`)}\r\n`,
  'query of /Token': (repeat) => `${head(`POST /Token?${repeat(headLimit)}`, 'Content-Length: 0')}\r\n`,
  'query of /v1/oauth/': (repeat) => `${head(`POST /v1/oauth/?${repeat(headLimit)}`, 'Content-Length: 0')}\r\n`,
  'query of nothing': (repeat) => `${head(`GET /nothing?${repeat(headLimit)}`)}\r\n`,
  Accept: inHeader('POST /v2/token', 'Accept'),
  'Accept after a type': inHeader('POST /v2/token', 'Accept', 'text/xml;q='),
  'Content-Type': inHeader('POST /v2/token', 'Content-Type'),
  'Content-Type of a form': inHeader('POST /v2/token', 'Content-Type', form),
  boundary: (repeat) => {
    const type = `multipart/form-data; boundary=${repeat(headLimit)}`
    return `${head('POST /v1/oauth/', `Content-Type: ${type}`, 'Content-Length: 6')}\r\n--edge`
  },
  Authorization: inHeader('POST /Token', 'Authorization'),
  Basic: inHeader('POST /Token', 'Authorization', 'Basic '),
  Bearer: inHeader('GET /userinfo', 'Authorization', 'Bearer '),
  Token: inHeader('GET /userinfo', 'Authorization', 'Token '),
  'x-access-token': inHeader('GET /userinfo', 'x-access-token'),
  Cookie: inHeader('GET /userinfo', 'Cookie'),
  'X-Forwarded-For': inHeader('POST /Token', 'X-Forwarded-For'),
  Origin: inHeader('OPTIONS /Token', 'Origin'),
  'Access-Control-Request-Headers': inHeader('OPTIONS /Token', 'Access-Control-Request-Headers'),
  Host: (repeat) => `GET /health/live HTTP/1.1\r\nHost: ${repeat(headLimit)}\r\nConnection: close\r\n\r\n`,
  Connection: (repeat) => `GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close, ${repeat(headLimit)}\r\n\r\n`,
  Expect: inHeader('GET /health/live', 'Expect'),
  'If-None-Match': inHeader('GET /docs/static/index.css', 'If-None-Match'),
  'Accept-Encoding': inHeader('GET /docs/static/index.css', 'Accept-Encoding'),
}

const bodyPlaces: Readonly<Record<string, Write>> = {
  'form of /Token': inBody('/Token', form),
  'form of GET /Token': inBody('/Token', form, '', '', 'GET'),
  'form field of /Token': inBody('/Token', form, 'grant_type=password&username='),
  'form name of /Token': inBody('/Token', form, 'grant_type=password&', '=a'),
  'form of /introspect': inBody('/introspect', form),
  'form of /revoke': inBody('/revoke', form, 'token='),
  'form of /v1/oauth/': inBody('/v1/oauth/', form),
  'JSON of /v2/token': inBody('/v2/token', 'application/json'),
  'JSON members of /v2/token': inBody('/v2/token', 'application/json', '{', '"a":1}'),
  'JSON text of /v2/token': inBody('/v2/token', 'application/json', '{"a":"', '"}'),
  'JSON name of /auth/login': inBody('/auth/login', 'application/json', '{"', '":1}'),
  'JSON value of /auth/login': inBody('/auth/login', 'application/json', '{"a":', '}'),
  XML: inBody('/v2/token', 'text/xml'),
  'XML elements': inBody('/v2/token', 'text/xml', oauthRequest, '</OAuthRequest>'),
  'XML text': inBody('/v2/token', 'text/xml', `${oauthRequest}<userName>`, '</userName></OAuthRequest>'),
  'XML attributes': inBody('/v2/token', 'text/xml', oauthRequest.replace('>', ' '), '/>'),
  multipart: inBody('/v1/oauth/', edge),
  'multipart name': inBody('/v1/oauth/', edge, field, '"\r\n\r\n\r\n--edge--'),
  'multipart header': inBody('/v1/oauth/', edge, `${field}a"; `, '\r\n\r\n\r\n--edge--'),
  'multipart value': inBody('/v1/oauth/', edge, `${field}a"\r\n\r\n`, '\r\n--edge--'),
  'body of nothing': inBody('/nothing', 'application/json'),
  'body of /userinfo': inBody('/userinfo', 'text/plain', '', '', 'GET'),
}

/** Draws `count` repetitions by a seed. */
export function drawRepetitions(seed: number, count: number): readonly Repetition[] {
  const drawn = drawnFrom(seed, 0, ({ int }) =>
    listRepetitions().map((repetition) => ({ repetition, order: int(0, 2 ** 30) })),
  )
  return drawn
    .sort((one, other) => one.order - other.order)
    .slice(0, count)
    .map(({ repetition }) => repetition)
}

/** Lists all repetitions: each piece in each place. Chunks and header lines are repeated as a whole. */
function listRepetitions(): readonly Repetition[] {
  const isInLine = (piece: string) => !/[\r\n\0]/.test(piece)
  return [
    ...Object.entries(headPlaces).flatMap(([place, write]) => repeatAll(place, write, pieces.filter(isInLine))),
    ...Object.entries(bodyPlaces).flatMap(([place, write]) => repeatAll(place, write, pieces)),
    ...chunks,
    ...headerLines,
  ]
}

function repeatAll(place: string, write: Write, repeated: readonly string[]): Repetition[] {
  return repeated.flatMap((piece) =>
    endings.map((ending) => {
      const fill = (limit: number) => piece.repeat(Math.floor(limit / Buffer.byteLength(piece))) + ending
      return { place, piece: JSON.stringify(piece + (ending && `… ${ending}`)), write: () => Buffer.from(write(fill)) }
    }),
  )
}

const inChunks = (first: string, size: number): Buffer => {
  const chunk = `${size.toString(16)}\r\n${'a'.repeat(size)}\r\n`
  const type = 'Content-Type: application/x-www-form-urlencoded'
  return Buffer.from(`${head(first, type, 'Transfer-Encoding: chunked')}\r\n${chunk.repeat(bodyLimit / size)}0\r\n\r\n`)
}
const chunks = [
  'POST /Token',
  'GET /Token',
  'POST /v2/token',
  'POST /auth/login',
  'GET /userinfo',
  'POST /nothing',
  'GET /health/live',
].flatMap((first) =>
  [1, 2, 16].map((size) => ({
    place: `chunks of ${first}`,
    piece: `${size} bytes`,
    write: () => inChunks(first, size),
  })),
)

const headerLines = [
  'a:',
  'Cookie: a',
  'Accept: a',
  'Authorization: Basic a',
  'X-Forwarded-For: 1.2.3.4',
  'x-access-token: a',
  'Content-Type: a',
].flatMap((line) =>
  ['GET /userinfo', 'GET /nothing', 'DELETE /Token'].map((first) => {
    const lines = Array.from({ length: Math.floor(headLimit / (line.length + 2)) }, () => line)
    return { place: `header lines of ${first}`, piece: line, write: () => Buffer.from(`${head(first, ...lines)}\r\n`) }
  }),
)
