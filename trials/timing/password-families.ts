import { writeRequest } from '../../bench/support/timed-connection.ts'
import { requestsWith } from './client-families.ts'
import type { Everybody } from './everybody.ts'
import type { Family, Finding } from './family.ts'

const form = { 'content-type': 'application/x-www-form-urlencoded' }
const json = { 'content-type': 'application/json' }
const grant_type = 'password'

type WriteSignIn = (username: string, password: string) => string

/** Writes the sign-in of each dialect, with an ordinary client for `webapi`. */
export function signInWriters({ clients, secrets }: Everybody): Record<'webapi' | 'session' | 'envelope', WriteSignIn> {
  const authorization = `Basic ${Buffer.from(`${clients.ordinary[0]}:${secrets.secret}`).toString('base64')}`
  const writeForm = (fields: Record<string, string>) => new URLSearchParams(fields).toString()
  return {
    webapi: (username, password) =>
      writeRequest('/Token', { authorization, ...form }, writeForm({ grant_type, username, password })),
    session: (userName, password) =>
      writeRequest('/v2/token', json, JSON.stringify({ grant_type, userName, password, clientKey: 'till' })),
    envelope: (username, password) =>
      writeRequest('/v1/oauth/', form, writeForm({ username, password, 'device-info': 'till' })),
  }
}

/**
 * Creates sign-ins that are refused for the user or the password, and a control that must be detected. Each family has its own
 * users, so that every kind of user is asked for equally often.
 */
export const passwordFamilies: readonly ((everybody: Everybody) => Family)[] = [
  control,
  webapi,
  overLongPassword,
  (everybody) => ({ what: 'webapi-session', status: 400, kinds: usualKinds(everybody, 'session') }),
  (everybody) => ({ what: 'envelope', status: 200, kinds: usualKinds(everybody, 'envelope') }),
]

/**
 * Creates the control: a secret with two readings costs two hashes. A comparison that misses one extra hash would also miss a
 * missing one.
 */
function control({ clients, secrets }: Everybody): Family {
  const ask = (secret: string) => requestsWith('/introspect', 'token=unknown', secret)
  const once = ask(secrets.wrongPassword)
  const twice = ask(secrets.wrongPassword.replace(/.$/, (last) => `%${last.charCodeAt(0).toString(16)}`))
  return {
    what: 'control',
    status: 401,
    kinds: {
      'wrong secret': once(clients.ordinary),
      'wrong secret, again': once(clients.others),
      'one hash more': twice(clients.unknown),
    },
    looser: { 'one hash more': { verdict: 'slower', ms: Number.POSITIVE_INFINITY, why: 'has to be noticed' } },
  }
}

/** Tells whether a difference of one hash could stay undetected in any of these findings. */
export function isBlind(findings: readonly Finding[]): boolean {
  const noticed = findings.find(({ family, kind }) => family === 'control' && kind === 'one hash more')
  return noticed?.verdict !== 'slower' || findings.some(({ foundFromMs }) => foundFromMs > noticed.ms)
}

function usualKinds(everybody: Everybody, dialect: 'webapi' | 'session' | 'envelope') {
  const write = signInWriters(everybody)[dialect]
  const { users, secrets } = everybody
  return {
    'wrong password': users.ordinary.map((name) => write(name, secrets.wrongPassword)),
    'wrong password, again': users.others.map((name) => write(name, secrets.wrongPassword)),
    'unknown user': users.unknown.map((name) => write(name, secrets.wrongPassword)),
    'disabled user, right password': users.disabled.map((name) => write(name, secrets.password)),
  }
}

function webapi(everybody: Everybody): Family {
  const write = signInWriters(everybody).webapi
  const { users, secrets } = everybody
  const guessAt = (names: readonly string[]) => names.map((name) => write(name, secrets.wrongPassword))
  return {
    what: 'webapi',
    status: 400,
    kinds: {
      ...usualKinds(everybody, 'webapi'),
      'disabled user, wrong password': guessAt(users.alsoDisabled),
      'user without a password': guessAt(users.withoutPassword),
      'older, cheaper hash': guessAt(users.withOlderHash),
      'dearer hash': guessAt(users.withDearerHash),
      'name longer than anybody has': guessAt(users.unknown.map((name) => name.padEnd(257, '-'))),
      'unreadable hash': guessAt(users.withUnreadableHash),
    },
    looser: {
      'older, cheaper hash': { verdict: 'slower', ms: Number.POSITIVE_INFINITY, why: 'filled up by a second hash' },
      'dearer hash': {
        verdict: 'quicker',
        ms: Number.POSITIVE_INFINITY,
        why: 'one hash, where others are filled up by a second',
      },
      'name longer than anybody has': { verdict: 'quicker', ms: 0.3, why: 'hashed, not looked for' },
      'unreadable hash': { verdict: 'slower', ms: Number.POSITIVE_INFINITY, why: 'a fault, logged as one' },
    },
  }
}

function overLongPassword(everybody: Everybody): Family {
  const write = signInWriters(everybody).webapi
  const { users } = everybody
  const guessAt = (names: readonly string[]) => names.map((name) => write(name, 'p'.repeat(1025)))
  return {
    what: 'webapi, over-long password',
    status: 400,
    kinds: {
      'known user': guessAt(users.ordinary),
      'known user, again': guessAt(users.others),
      'unknown user': guessAt(users.unknown),
    },
  }
}
