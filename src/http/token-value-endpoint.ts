import type { FastifyInstance } from 'fastify'
import type { AuthenticateClient } from '../grants/authenticate-client.ts'
import { readForm } from '../wire/read-form.ts'
import { writeRefusal } from '../wire/wire-reply.ts'
import { type ClientEndpointOptions, clientEndpoint } from './client-endpoint.ts'

/** An endpoint to which a client sends a token's value in a form. */
export interface TokenValueEndpointOptions extends Pick<ClientEndpointOptions, 'place' | 'emit' | 'answer'> {
  readonly url: string
  readonly authenticateClient: AuthenticateClient
}

const example = 'token=...'

/** Registers one endpoint in its own scope. It accepts POST, and refuses in the form of RFC 6749 §5.2. */
export async function tokenValueEndpoint(scope: FastifyInstance, options: TokenValueEndpointOptions): Promise<void> {
  const { url, place, emit, authenticateClient, answer } = options
  await scope.register(clientEndpoint, {
    urls: [url],
    methods: ['POST'],
    example,
    decode: ({ text }) => readForm(text, example),
    place,
    emit,
    credentials: {},
    identifyClient: authenticateClient,
    answer,
    refuse: writeRefusal,
  })
}
