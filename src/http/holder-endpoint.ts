import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify'
import { readBearer, type TokenPlace } from '../bearer/authorization.ts'
import { defaultRealm, noToken, refuseToken, writeChallenge } from '../bearer/challenge.ts'
import type { Dialect } from '../dialects/dialect.ts'
import { OAuthError } from '../errors.ts'
import type { FindToken } from '../tokens/find-token.ts'
import type { Token } from '../tokens/token.ts'
import { writeError, writeJson } from '../wire/wire-reply.ts'
import type { WireRequest } from '../wire/wire-request.ts'
import type { EmitFrom } from './log-events.ts'
import { refuseOtherMethods } from './other-methods.ts'
import { reportTo, writeRefusals } from './refusals.ts'
import { sendReply } from './send-reply.ts'

/** The tools of every endpoint for holders of tokens. */
export interface HolderTools {
  readonly findToken: FindToken
  /** The mounted dialects. Some accept their tokens in other places than `Authorization: Bearer`. */
  readonly dialects: readonly Dialect[]
  readonly emit: EmitFrom
}

/** An endpoint for the holder of a live token. */
export interface HolderEndpointOptions extends HolderTools {
  readonly url: string
  readonly methods: readonly HTTPMethods[]
  /** Returns the answer, sent as JSON; null sends 204 without a body. */
  readonly answer: (
    token: Token,
    request: FastifyRequest,
    reply: FastifyReply,
  ) => object | null | Promise<object | null>
}

/**
 * Registers one endpoint in its own scope. Refusals follow RFC 6750 §3, unless the token came in the place of a dialect
 * with its own form of answers.
 */
export async function holderEndpoint(scope: FastifyInstance, options: HolderEndpointOptions): Promise<void> {
  const { url, methods, findToken, dialects, emit, answer } = options
  const places = dialects.flatMap(({ tokenPlace }) => tokenPlace ?? [])
  const findSpeaker = (request: FastifyRequest) =>
    dialects.find(({ tokenPlace, present }) => tokenPlace && present && isSentAt(tokenPlace, request))

  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', (_request, body, done) => {
    body.resume() // no endpoint for holders reads a body
    done(null)
  })
  writeRefusals(scope, {
    report: reportTo(emit, { endpoint: url }),
    challenge: (error, request) => challenge(error, findSpeaker(request)),
    write: (error, request) => findSpeaker(request)?.refuse(error, describeBodiless(request)) ?? writeError(error),
  })
  scope.route({
    method: [...methods],
    url,
    handler: async (request, reply) => {
      const value = readHeld(request, places, findSpeaker(request))
      if (value === null) {
        reply.headers(writeChallenge(defaultRealm, null))
        return sendReply(reply, writeJson(401, { error_description: noToken }))
      }
      const found = await findToken(value)
      if ('ended' in found) throw refuseToken(found)
      const said = await answer(found.token, request, reply)
      if (said === null) return sendReply(reply, { status: 204, headers: {}, body: '' })
      return sendReply(reply, findSpeaker(request)?.present?.(said) ?? writeJson(200, said))
    },
  })
  refuseOtherMethods(scope, url, methods.includes('GET') ? [...methods, 'HEAD'] : methods)
}

function isSentAt(place: TokenPlace, { headers }: FastifyRequest): boolean {
  return place === 'Token' ? /^token(\s|$)/i.test(headers.authorization ?? '') : headers['x-access-token'] !== undefined
}

/** Reads the token. A dialect with its own answers distinguishes only a missing token and an invalid one. */
function readHeld(request: FastifyRequest, places: readonly TokenPlace[], speaker: Dialect | undefined): string | null {
  try {
    return readBearer(request, places)
  } catch (error) {
    if (!speaker) throw error
    const isBare = /^\S*\s*$/.test(request.headers.authorization ?? '')
    throw new OAuthError('invalid_token', 'The token is malformed.', {
      reason: isBare ? 'no token' : 'malformed token',
      missingField: isBare ? 'access_token' : undefined,
    })
  }
}

function challenge(error: OAuthError, speaker: Dialect | undefined): Record<string, string> {
  const { status } = error
  if (!speaker) return status === 405 || status === 404 ? {} : writeChallenge(defaultRealm, error)
  return status === 401 ? { 'www-authenticate': `${speaker.tokenPlace} realm="${defaultRealm}"` } : {}
}

function describeBodiless({ headers }: FastifyRequest): WireRequest {
  return { text: '', query: '', headers, fields: new Map() }
}
