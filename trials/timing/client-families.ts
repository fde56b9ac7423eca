import { writeRequest } from '../../bench/support/timed-connection.ts'
import type { Everybody } from './everybody.ts'
import type { Family } from './family.ts'

const bodies = {
  '/Token': 'grant_type=password&username=nobody&password=nothing',
  '/introspect': 'token=unknown',
  '/revoke': 'token=unknown',
} as const

/**
 * Creates requests that are refused for the client or its secret, for each endpoint that authenticates a client. They use a
 * secret as long as a generated one, and a short one. Every wrong secret costs one argon2id hash.
 */
export const clientFamilies: readonly ((everybody: Everybody) => Family)[] = Object.entries(bodies).flatMap(
  ([path, body]) => [
    (everybody: Everybody) => longSecrets(everybody, path, body),
    (everybody: Everybody) => shortSecrets(everybody, path, body),
  ],
)

function longSecrets({ clients, secrets }: Everybody, path: string, body: string): Family {
  const ask = requestsWith(path, body, secrets.wrongSecret)
  return {
    what: `${path}, long secret`,
    status: 401,
    kinds: {
      'wrong secret': ask(clients.ordinary),
      'wrong secret, again': ask(clients.others),
      'unknown client': ask(clients.unknown),
      'disabled client, right secret': requestsWith(path, body, secrets.secret)(clients.disabled),
      'public client': ask(clients.public),
      'client with a chosen secret': ask(clients.withChosenSecret),
    },
  }
}

function shortSecrets({ clients, secrets }: Everybody, path: string, body: string): Family {
  const ask = requestsWith(path, body, secrets.wrongPassword)
  return {
    what: `${path}, short secret`,
    status: 401,
    kinds: {
      'wrong secret': ask(clients.ordinary),
      'wrong secret, again': ask(clients.others),
      'unknown client': ask(clients.unknown),
      'disabled client': ask(clients.disabled),
      'public client': ask(clients.public),
      'client with a chosen secret': ask(clients.withChosenSecret),
    },
  }
}

/** Creates requests to an endpoint, one from each client, with one secret. */
export function requestsWith(path: string, body: string, secret: string): (ids: readonly string[]) => string[] {
  return (ids) =>
    ids.map((id) => {
      const authorization = `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
      return writeRequest(path, { authorization, 'content-type': 'application/x-www-form-urlencoded' }, body)
    })
}
