import basicAuth from '@fastify/basic-auth'
import formbody from '@fastify/formbody'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Client } from '../clients/client.ts'
import type { Dialect } from '../dialects/dialect.ts'
import type { OfRequest } from '../events.ts'
import type { Fields } from '../wire/fields.ts'
import type { WireReply } from '../wire/wire-reply.ts'
import type { WireRequest } from '../wire/wire-request.ts'
import { longestBody, readTextOf } from './body.ts'
import { boundPieces, isInTooManyPieces, refusePieces } from './body-pieces.ts'
import { basicCredentials, type IdentifyClient, keepBasicCredentials } from './client-auth.ts'
import { diagnose } from './diagnose.ts'
import type { EmitFrom } from './log-events.ts'
import { findAddress } from './network.ts'
import { refuseOtherMethods } from './other-methods.ts'
import { type Caller, reportTo, toOAuthError, writeRefusals } from './refusals.ts'
import { sendReply } from './send-reply.ts'

/** An endpoint that takes fields from a client. */
export interface ClientEndpointOptions extends Pick<Dialect, 'methods' | 'example' | 'decode' | 'refuse'> {
  /** The path's spellings, as route patterns. */
  readonly urls: readonly string[]
  /** What every event at this endpoint says of it. */
  readonly place: OfRequest['place']
  readonly emit: EmitFrom
  readonly identifyClient: IdentifyClient
  readonly answer: (asked: Asked) => Promise<WireReply>
}

/** What a client that is known asks. */
export interface Asked {
  readonly client: Client
  /** Of whoever asks, or whom a trusted client asks for. */
  readonly address: string
  readonly fields: Fields
  readonly wire: WireRequest
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

/**
 * One endpoint in a scope of its own: method, body, client, and then what `answer` looks at, in the order in which
 * the first failure answers. Its parsers, error writer and headers touch no route of the host.
 */
export async function clientEndpoint(scope: FastifyInstance, options: ClientEndpointOptions): Promise<void> {
  const { urls, methods, example, place, emit, decode, identifyClient, answer, refuse } = options
  scope.removeAllContentTypeParsers()
  await scope.register(formbody, { bodyLimit: longestBody, parser: (text) => ({ text }) })
  await scope.register(basicAuth, { validate: keepBasicCredentials, strictCredentials: false })
  scope.decorateRequest(basicCredentials, null)
  scope.decorateRequest(asker, null)
  scope.decorateRequest(claimedType, null)
  scope.decorateRequest(wireRequest, null)

  writeRefusals(scope, {
    read: (thrown, request) => {
      restoreClaim(request)
      const error = isInTooManyPieces(request.raw) ? refusePieces() : toOAuthError(thrown)
      return diagnose(error, describeRequest(request), example)
    },
    report: reportTo(emit, place, (request) => request[asker]),
    write: (error, request) => refuse(error, describeRequest(request)),
  })

  for (const url of urls) {
    scope.route({
      method: [...methods],
      url,
      exposeHeadRoute: false,
      onRequest: claimForm,
      onSend: async (request) => restoreClaim(request), // for what a hook of the host refused or answered
      handler: async (request, reply) => {
        restoreClaim(request)
        const wire = { ...describeRequest(request), text: await readText(request) }
        request[wireRequest] = wire
        const fields = await decode(wire)
        wire.fields = fields
        const client = await identifyClient(scope, request, reply, fields)
        const address = findAddress(request, client)
        request[asker] = { client: client.id, address }
        return sendReply(reply, await answer({ client, address, fields, wire, request, reply }))
      },
    })
    refuseOtherMethods(scope, url, methods)
  }
}

const asker = Symbol('who asks')
const claimedType = Symbol('content type as claimed')
const wireRequest = Symbol('request as received')
const noFields: Fields = new Map()

declare module 'fastify' {
  interface FastifyRequest {
    /** For the log, once it is known; only inside the token server's own scopes. */
    [asker]: Caller | null
    /** What the content-type header said, null as long as it says so still; only inside the token server's own scopes. */
    [claimedType]: string | undefined | null
    /** The request as its dialect sees it, once the body is there; only inside the token server's own scopes. */
    [wireRequest]: WireRequest | null
  }
}

/** What a body is, its dialect decides; Fastify only collects it, as the text it would make of a form. */
async function claimForm(request: FastifyRequest): Promise<void> {
  boundPieces(request.raw)
  request[claimedType] = request.raw.headers['content-type']
  request.raw.headers['content-type'] = 'application/x-www-form-urlencoded'
}

/** Whoever looks at the request afterwards sees it as it was sent. */
function restoreClaim(request: FastifyRequest): void {
  if (request[claimedType] === null) return
  request.raw.headers['content-type'] = request[claimedType]
  request[claimedType] = null
}

async function readText(request: FastifyRequest): Promise<string> {
  const body = request.body as { text: string } | undefined // what our parser returned
  const text = request.method === 'GET' ? await readTextOf(request.raw) : (body?.text ?? '')
  if (isInTooManyPieces(request.raw)) throw refusePieces()
  return text
}

/** The request as a dialect sees it, as far as it has been read. */
export function describeRequest(request: FastifyRequest): {
  -readonly [field in keyof WireRequest]: WireRequest[field]
} {
  const { url = '' } = request.raw
  const mark = url.indexOf('?')
  const query = mark === -1 ? '' : url.slice(mark + 1)
  return request[wireRequest] ?? { text: '', query, headers: request.headers, fields: noFields }
}
