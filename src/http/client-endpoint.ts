import basicAuth from '@fastify/basic-auth'
import formbody from '@fastify/formbody'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { readAuthorization } from '../bearer/authorization.ts'
import type { Client } from '../clients/client.ts'
import type { Dialect } from '../dialects/dialect.ts'
import type { OAuthError } from '../errors.ts'
import type { OfRequest } from '../events.ts'
import type { AuthenticateClient } from '../grants/authenticate-client.ts'
import {
  type BasicHalves,
  type CredentialReadings,
  isReadableBasic,
  readFieldCredentials,
  readHeaderCredentials,
  requireHeaderOnly,
} from '../wire/client-credentials.ts'
import type { Fields } from '../wire/fields.ts'
import type { WireReply } from '../wire/wire-reply.ts'
import type { WireRequest } from '../wire/wire-request.ts'
import { longestBody, readTextOf } from './body.ts'
import { boundPieces, isInTooManyPieces, refusePieces } from './body-pieces.ts'
import { diagnose } from './diagnose.ts'
import type { EmitFrom } from './log-events.ts'
import { findAddress, networkOf } from './network.ts'
import { refuseOtherMethods } from './other-methods.ts'
import { type Caller, reportTo, toOAuthError, writeRefusals } from './refusals.ts'
import { sendReply } from './send-reply.ts'

/** An endpoint that reads fields from a client. */
export interface ClientEndpointOptions extends Pick<Dialect, 'methods' | 'example' | 'decode' | 'refuse'> {
  /** The path in all its spellings, as route patterns. */
  readonly urls: readonly string[]
  /** The place that every event at this endpoint names. */
  readonly place: OfRequest['place']
  readonly emit: EmitFrom
  /** How requests carry client credentials; null when the endpoint reads none. */
  readonly credentials: CredentialRules | null
  readonly identifyClient: AuthenticateClient
  /** Replaces a refusal by another one. Default: no change. */
  readonly translate?: ((error: OAuthError) => OAuthError) | undefined
  readonly answer: (asked: Asked) => Promise<WireReply>
}

/** How to read client credentials (RFC 6749 §2.3). */
export interface CredentialRules {
  /** The public client of a request without any credentials. */
  readonly defaultClient?: string | undefined
  /**
   * Whether to read the form when the Authorization header is not a readable Basic one, as Katana does. Default: false.
   */
  readonly ignoresOtherSchemes?: boolean | undefined
}

/** A request of an identified client. */
export interface Asked {
  readonly client: Client
  /** The address of the caller, or of the end user of a trusted client. */
  readonly address: string
  readonly fields: Fields
  readonly wire: WireRequest
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

/**
 * Registers one endpoint in its own scope. It checks method, body and client, then calls `answer`; the first failure
 * decides the refusal. Its parsers, error handler and headers affect no route of the host.
 */
export async function clientEndpoint(scope: FastifyInstance, options: ClientEndpointOptions): Promise<void> {
  const { urls, methods, example, place, emit, decode, credentials, identifyClient, answer, refuse } = options
  const { translate = (error) => error } = options
  scope.removeAllContentTypeParsers()
  await scope.register(formbody, { bodyLimit: longestBody, parser: (text) => ({ text }) })
  await scope.register(basicAuth, { validate: keepBasicHalves, strictCredentials: false })
  scope.decorateRequest(basicHalves, null)
  scope.decorateRequest(asker, null)
  scope.decorateRequest(claimedType, null)
  scope.decorateRequest(wireRequest, null)

  writeRefusals(scope, {
    read: (thrown, request) => {
      restoreClaim(request)
      const error = isInTooManyPieces(request.raw) ? refusePieces() : toOAuthError(thrown)
      return diagnose(translate(error), describeRequest(request), example)
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
      onSend: async (request) => restoreClaim(request), // when a hook of the host has answered
      handler: async (request, reply) => {
        restoreClaim(request)
        const wire = { ...describeRequest(request), text: await readText(request) }
        request[wireRequest] = wire
        const fields = await decode(wire)
        wire.fields = fields
        const readings = credentials ? await readCredentials(scope, { request, reply, fields }, credentials) : none
        const client = await identifyClient(readings, networkOf(request.ip))
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
const basicHalves = Symbol('halves of the Basic header')
const none: CredentialReadings = [{ id: '', secret: null }]
const noFields: Fields = new Map()

declare module 'fastify' {
  interface FastifyRequest {
    /** The caller, for the log, once it is known. Only inside the token server's own scopes. */
    [asker]: Caller | null
    /** The halves of `Authorization: Basic`, not form-decoded. Only inside the token server's own scopes. */
    [basicHalves]: BasicHalves | null
    /**
     * The original Content-Type header; null while the header is unchanged. Only inside the token server's own scopes.
     */
    [claimedType]: string | undefined | null
    /** The request as its dialect sees it, once its body has been read. Only inside the token server's own scopes. */
    [wireRequest]: WireRequest | null
  }
}

/** Marks the body as a form, so that Fastify collects it as text. The dialect decides how to decode it. */
async function claimForm(request: FastifyRequest): Promise<void> {
  boundPieces(request.raw)
  request[claimedType] = request.raw.headers['content-type']
  request.raw.headers['content-type'] = 'application/x-www-form-urlencoded'
}

/** Restores the header so that later hooks see the request as it was sent. */
function restoreClaim(request: FastifyRequest): void {
  if (request[claimedType] === null) return
  request.raw.headers['content-type'] = request[claimedType]
  request[claimedType] = null
}

async function readText(request: FastifyRequest): Promise<string> {
  const body = request.body as { text: string } | undefined // the result of our parser
  const text = request.method === 'GET' ? await readTextOf(request.raw) : (body?.text ?? '')
  if (isInTooManyPieces(request.raw)) throw refusePieces()
  return text
}

/**
 * Reads the credentials of a client from the header or the fields, never both. A public client names itself in
 * `client_id`. Any Authorization header counts as one way to authenticate (RFC 6749 §2.3).
 */
async function readCredentials(
  scope: FastifyInstance,
  { request, reply, fields }: Pick<Asked, 'request' | 'reply' | 'fields'>,
  { defaultClient, ignoresOtherSchemes }: CredentialRules,
): Promise<CredentialReadings> {
  const header = readAuthorization(request)
  if (header === null || (ignoresOtherSchemes && !isReadableBasic(header))) {
    return readFieldCredentials(fields, defaultClient)
  }
  requireHeaderOnly(fields)
  await new Promise<void>((resolve, reject) => {
    scope.basicAuth(request, reply, (error?: Error) => (error ? reject(error) : resolve()))
  })
  return readHeaderCredentials(request[basicHalves] ?? { id: '', secret: '' }, fields)
}

/** Keeps the decoded header for later: @fastify/basic-auth only parses it, and the grant checks the credentials. */
async function keepBasicHalves(id: string, secret: string, request: FastifyRequest): Promise<void> {
  request[basicHalves] = { id, secret }
}

/** Describes the request as a dialect sees it, as far as it has been read. */
export function describeRequest(request: FastifyRequest): {
  -readonly [field in keyof WireRequest]: WireRequest[field]
} {
  const { url = '' } = request.raw
  const mark = url.indexOf('?')
  const query = mark === -1 ? '' : url.slice(mark + 1)
  return request[wireRequest] ?? { text: '', query, headers: request.headers, fields: noFields }
}
