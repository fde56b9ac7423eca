type Fetch = typeof globalThis.fetch
type Input = Parameters<Fetch>[0]
type Init = NonNullable<Parameters<Fetch>[1]>

/** A request that can be sent again. */
export interface Repeatable {
  /** Aborts the request when the caller asks for it. */
  readonly signal: AbortSignal | null
  /** Whether its body is a stream, which can be sent only once. */
  readonly isOnce: boolean
  /** Sends the request with a token (RFC 6750 §2.1). Call it twice at most. */
  send(fetch: Fetch, value: string): Promise<Response>
}

/**
 * Copies the arguments of `fetch`, so that the caller may change them afterwards, as with `fetch` itself. Clones a
 * Request with a body. Throws a TypeError for invalid headers and for a body that has been read already.
 */
export function repeatable(input: Input, init: Init = {}): Repeatable {
  const request = isRequest(input) ? input : null
  const headers = new Headers(init.headers ?? request?.headers)
  const fixed = { ...init, headers, ...(init.body == null ? {} : { body: copyBody(init.body) }) }
  const inputs = request?.body != null && init.body == null ? [request, request.clone()] : [input, input]
  return {
    signal: init.signal === undefined ? (request?.signal ?? null) : init.signal,
    isOnce: isStream(init.body),
    send: async (fetch, value) => {
      headers.set('authorization', `Bearer ${value}`)
      return fetch(inputs.shift() ?? input, fixed)
    },
  }
}

/** Checks a property instead of the class: a custom `fetch` may come with its own Request class. */
function isRequest(input: Input): input is Request {
  return typeof input === 'object' && 'clone' in input
}

/** Copies the mutable kinds of bodies. Strings and Blobs never change; unknown kinds stay as they are. */
function copyBody(body: NonNullable<Init['body']>): NonNullable<Init['body']> {
  if (body instanceof URLSearchParams) return new URLSearchParams(body)
  if (body instanceof FormData) return copyForm(body)
  if (body instanceof ArrayBuffer) return body.slice(0)
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength).slice()
  return body
}

function copyForm(form: FormData): FormData {
  const copy = new FormData()
  for (const [name, value] of form) copy.append(name, value)
  return copy
}

/** Recognizes a ReadableStream and any async iterable, which Node's fetch reads in pieces. */
function isStream(body: unknown): boolean {
  if (typeof body !== 'object' || body === null || ArrayBuffer.isView(body)) return false
  return body instanceof ReadableStream || Symbol.asyncIterator in body
}
