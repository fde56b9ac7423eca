type Fetch = typeof globalThis.fetch
type Input = Parameters<Fetch>[0]
type Init = NonNullable<Parameters<Fetch>[1]>

/** A request that can be sent again. */
export interface Repeatable {
  /** Ends the request when the caller says so. */
  readonly signal: AbortSignal | null
  /** Whether its body is a stream, which is gone once it has been sent. */
  readonly isOnce: boolean
  /** Sends it with a token (RFC 6750 §2.1), twice at most. */
  send(fetch: Fetch, value: string): Promise<Response>
}

/**
 * What the arguments of `fetch` say at this moment: as with `fetch` itself, the caller may change them afterwards.
 * A Request with a body is cloned. Throws a TypeError for headers that are none and for a body read already.
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

/** By what it has, since a `fetch` of one's own may come with a class of its own. */
function isRequest(input: Input): input is Request {
  return typeof input === 'object' && 'clone' in input
}

/** Strings and Blobs never change; whatever else is unknown is left as it is. */
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

/** A ReadableStream, or what else Node's fetch reads piece by piece. */
function isStream(body: unknown): boolean {
  if (typeof body !== 'object' || body === null || ArrayBuffer.isView(body)) return false
  return body instanceof ReadableStream || Symbol.asyncIterator in body
}
