import { type Devices, deviceRequest } from '../../bench/support/devices.ts'
import type { People } from '../../bench/support/people.ts'
import type { Question, Reply } from './ask.ts'
import type { Token } from './ledger.ts'

/** A way to sign in, and to read the answer. */
export interface Way {
  readonly name: string
  /** The client that revokes its tokens; null for the client that signs in. */
  readonly builtIn: string | null
  ask(person: string, device: string): Question
  /** Reads the token of a success, or null. */
  readToken(text: string): string | null
  /** Tells whether the answer refuses a wrong name or password. */
  isDenied(status: number, text: string): boolean
}

/** The outcome of a sign-in. */
export type SignInReply =
  | { readonly value: string }
  | 'nobody'
  | 'lost'
  | 'away'
  | 'denied'
  | { readonly strange: string }

/** Reads a reply. Only a token, an outage and a refusal of the password are expected. */
export function readSignIn(way: Way, reply: Reply): SignInReply {
  if (typeof reply === 'string') return reply
  if (reply.status === 503) return 'away'
  const value = reply.status === 200 ? way.readToken(reply.text) : null
  if (value !== null) return { value }
  if (way.isDenied(reply.status, reply.text)) return 'denied'
  return { strange: `${reply.status} ${reply.text.slice(0, 200)}` }
}

const form = { 'content-type': 'application/x-www-form-urlencoded' }

function post(path: string, fields: Record<string, string>, headers: Record<string, string> = {}): Question {
  return { method: 'POST', path, headers: { ...form, ...headers }, body: new URLSearchParams(fields).toString() }
}

function readJson(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text)
  } catch {
    return {}
  }
}

function readText(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

/** `POST /Token`, for the seat without a label. */
export function webapiWay({ password, authorization }: People): Way {
  return {
    name: 'webapi',
    builtIn: null,
    ask: (username) => post('/Token', { grant_type: 'password', username, password }, { authorization }),
    readToken: (text) => readText(readJson(text)['access_token']),
    isDenied: (status, text) => status === 400 && readJson(text)['error'] === 'invalid_grant',
  }
}

/** `POST /v2/token`, for any seat. */
export function webapiSessionWay({ password }: People): Way {
  return {
    name: 'webapi-session',
    builtIn: 'webapi-session',
    ask: (userName, device) => {
      const fields = { grant_type: 'password', userName, password }
      return post('/v2/token', device === '' ? fields : { ...fields, clientKey: device })
    },
    readToken: (text) => readText(readJson(text)['access_token']),
    isDenied: (status, text) => status === 400 && readJson(text)['error'] === 'invalid_grant',
  }
}

/** `POST /v1/oauth/`, for seats with a label. */
export function envelopeWay({ password }: People): Way {
  return {
    name: 'envelope',
    builtIn: 'envelope',
    ask: (username, device) => post('/v1/oauth/', { username, password, 'device-info': device }),
    readToken: (text) => readText((readJson(text)['data'] as Record<string, unknown> | undefined)?.['access_token']),
    isDenied: (_status, text) => (readJson(text)['errors'] as { code?: string } | undefined)?.code === '1142',
  }
}

/** `POST /auth/login`, for a device, each time with a later timestamp. */
export function deviceWay(devices: Devices, number: number): Way {
  let last = 0
  return {
    name: 'device',
    builtIn: 'device',
    ask: () => {
      last = Math.max(last + 1, Math.floor(Date.now() / 1_000))
      return deviceRequest(devices, number, last)
    },
    readToken: (text) => readText(readJson(text)['token']),
    isDenied: (status) => status === 401,
  }
}

/** The result of a check; `true` and `false` are verdicts. */
export type CheckReply = boolean | 'nobody' | 'lost' | 'away' | { readonly strange: string }

/** Checks whether a token is live, as its holder or as a backend. */
export function checkQuestion({ value }: Token, backend: People | null): Question {
  if (backend) return post('/introspect', { token: value }, { authorization: backend.authorization })
  return { method: 'GET', path: '/userinfo', headers: { authorization: `Bearer ${value}` } }
}

/** Reads the answer to either check. */
export function readCheck(reply: Reply, isIntrospection: boolean): CheckReply {
  if (typeof reply === 'string') return reply
  if (reply.status === 503) return 'away'
  if (!isIntrospection && (reply.status === 200 || reply.status === 401)) return reply.status === 200
  const active = isIntrospection && reply.status === 200 ? readJson(reply.text)['active'] : undefined
  return typeof active === 'boolean' ? active : { strange: `${reply.status} ${reply.text.slice(0, 200)}` }
}

/** Revokes a token as the client that received it. */
export function revokeQuestion({ value, clientId }: Token, { client, authorization }: People): Question {
  if (clientId === client.id) return post('/revoke', { token: value }, { authorization })
  return post('/revoke', { token: value, client_id: clientId })
}
