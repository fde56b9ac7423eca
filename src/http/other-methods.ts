import type { FastifyInstance } from 'fastify'
import { OAuthError } from '../errors.ts'

/** Answers every method a path does not have with 405 and `Allow` (RFC 9110 §15.5.6), in the scope's own shape. */
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
