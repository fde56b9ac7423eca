/** An answer at the level of HTTP. */
export interface Answer {
  readonly status: number
  /** The headers in the order of arrival, with names in lower case and values as sent. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
  /** The head and body as received, in Latin-1. */
  readonly text: string
}

/** An answer and the bytes after it, or null if the answer is incomplete. */
export type Read = { readonly answer: Answer; readonly rest: Buffer } | null

/** Reads one answer strictly. Throws Error for malformed HTTP. */
export function readAnswer(bytes: Buffer, method: string, hasEnded: boolean): Read {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return null
  const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  const status = Number(/^HTTP\/1\.1 ([1-5]\d\d) [\x20-\x7e]*$/.exec(first)?.[1])
  if (!status) throw new Error('a status line that is none')
  const headers = lines.map(readHeader)
  const read = readBody(
    bytes,
    end + 4,
    headers,
    hasEnded,
    status < 200 || [204, 304].includes(status) || method === 'HEAD',
  )
  if (read === null) return null
  const text = bytes.toString('latin1', 0, read.end)
  return { answer: { status, headers, body: read.body, text }, rest: bytes.subarray(read.end) }
}

/** Returns the value of a header that must not repeat, or `''` without it. */
export function headerOf({ headers }: Pick<Answer, 'headers'>, name: string): string {
  return headers.find(([written]) => written === name)?.[1] ?? ''
}

function readHeader(line: string): readonly [string, string] {
  const [, name, value] = /^([A-Za-z0-9-]+): ([\x20-\x7e]*)$/.exec(line) ?? []
  if (name === undefined || value === undefined) throw new Error('a header line that is none')
  return [name.toLowerCase(), value]
}

type Body = { readonly body: Buffer; readonly end: number } | null

function readBody(bytes: Buffer, begin: number, headers: Answer['headers'], hasEnded: boolean, hasNone: boolean): Body {
  const lengths = headers.filter(([name]) => name === 'content-length' || name === 'transfer-encoding')
  if (lengths.length > 1) throw new Error('two lengths of one body')
  const [name, value = ''] = lengths[0] ?? []
  if (hasNone) return { body: Buffer.alloc(0), end: begin }
  if (name === undefined) return hasEnded ? { body: bytes.subarray(begin), end: bytes.length } : null
  if (name === 'transfer-encoding') return readChunks(bytes, begin)
  if (!/^\d+$/.test(value)) throw new Error('a length that is no number')
  const end = begin + Number(value)
  return end > bytes.length ? null : { body: bytes.subarray(begin, end), end }
}

function readChunks(bytes: Buffer, begin: number): Body {
  const chunks: Buffer[] = []
  for (let at = begin; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd === -1) return null
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    if (Number.isNaN(size)) throw new Error('a chunk without a size')
    at = lineEnd + 2 + size + 2
    if (at > bytes.length) return null
    if (size === 0) return { body: Buffer.concat(chunks), end: at }
    chunks.push(bytes.subarray(lineEnd + 2, at - 2))
  }
}
