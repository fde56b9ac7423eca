import type { FastifyInstance } from 'fastify'
import { OAuthError } from '../errors.ts'

/** Answers all other methods of a path with 405 and `Allow` (RFC 9110 §15.5.6), in the form of the scope. */
export function refuseOtherMethods(scope: FastifyInstance, url: string, methods: readonly string[]): void {
  const headers = { allow: methods.join(', ') }
  const refuse = async () => {
    throw new OAuthError('invalid_request', `Use ${methods.join(' or ')}.`, { status: 405, headers })
  }
  scope.route({
    method: scope.supportedMethods.filter((method) => !methods.includes(method)),
    url,
    onRequest: refuse,
    handler: refuse,
  })
}
