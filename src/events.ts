/** Names a user. */
interface OfUser {
  readonly userId: string
}

/** Names a client. */
interface OfClient {
  readonly clientId: string
}

/** Names a device and its user. */
interface OfDevice extends OfUser {
  readonly deviceKey: string
}

/** Counts the live tokens that a change has ended. */
interface EndingTokens {
  readonly endedTokens: number
}

/**
 * Describes one fact, told once and after it has become true. An event carries ids, names of roles, counts and reasons:
 * never a secret, a password or the value of a token.
 */
export type Event =
  | ({ readonly type: 'user.created'; readonly role: string } & OfUser)
  | ({ readonly type: 'user.password_changed' } & OfUser & EndingTokens)
  | ({ readonly type: 'user.role_changed'; readonly role: string } & OfUser & EndingTokens)
  | ({ readonly type: 'user.disabled' } & OfUser & EndingTokens)
  | ({ readonly type: 'user.enabled' | 'user.removed' } & OfUser)
  | ({ readonly type: 'client.created' | 'client.enabled' | 'client.removed' } & OfClient)
  /** The old secret counts for `overlapSeconds` more. */
  | ({ readonly type: 'client.rotated'; readonly overlapSeconds: number } & OfClient)
  | ({ readonly type: 'client.disabled' } & OfClient & EndingTokens)
  | ({ readonly type: 'device.created'; readonly role: string } & OfDevice)
  | ({ readonly type: 'device.disabled' } & OfDevice & EndingTokens)
  | ({ readonly type: 'device.enabled' } & OfDevice)
  | { readonly type: 'key.rotated'; readonly keyId: string }
  /** A user or a device has a new token, in the seat with the label `device`. */
  | ({ readonly type: 'user.signed_in'; readonly tokenId: string; readonly device: string } & OfUser &
      OfClient &
      OfRequest)
  /** A sign-in was refused. */
  | ({ readonly type: 'user.sign_in_failed' } & Refusal)
  /** A request other than a sign-in was refused. */
  | ({ readonly type: 'request.refused' } & Refusal)
  | ({ readonly type: 'token.revoked' } & Revocation)
  /** A client asked about a value that is no live token, for the reason given. */
  | ({
      readonly type: 'token.introspected_inactive'
      readonly reason: string
      readonly userId?: string | undefined
    } & OfClient &
      OfRequest)

/** Describes the request that caused an event. */
export interface OfRequest {
  readonly requestId: string
  /** Undefined over a Unix socket; `unreadable` where a proxy named no address. */
  readonly address: string | undefined
  readonly durationMs: number
  /** The dialect or the endpoint that was asked. */
  readonly place: Readonly<Record<string, string>>
}

/** Tells who ended a token: an operator, the client that it was given to, or its user. */
type Revocation =
  /** All tokens of the user, or the one in the seat with the label `device`. */
  | ({ readonly by: 'operator'; readonly device: string | null } & OfUser & EndingTokens)
  | ({ readonly by: 'client'; readonly tokenId: string } & OfUser & OfClient & OfRequest)
  | ({ readonly by: 'user'; readonly tokenId: string } & OfUser & OfRequest)

/** Describes a refusal; an id is undefined where the request named no known user or client. */
export interface Refusal extends OfRequest {
  /** The public error code. */
  readonly code: string
  /** The HTTP status of the error, which a dialect may answer with another. */
  readonly status: number
  /** Why, in the log's words. */
  readonly reason: string
  readonly userId: string | undefined
  readonly clientId: string | undefined
  /** Whether the server had no room, or no time, for the request. */
  readonly isOverload: boolean
}

/** Tells all readers of an event. */
export type Emit = (event: Event) => void

/** Hears every event, in the order in which they are emitted. */
export type EventReader = (event: Event) => void | Promise<void>

/** Connects the code that emits events with the readers of events. */
export interface Events {
  readonly emit: Emit
  /** Adds a reader of the events from now on; returns what removes it again. */
  readonly subscribe: (reader: EventReader) => () => void
}

/** Tells one reader of an event. Never throws: an error of the reader becomes a warning of the process. */
export function tellReader(reader: EventReader, event: Event): void {
  try {
    Promise.resolve(reader(event)).catch(warn)
  } catch (error) {
    warn(error)
  }
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : `A reader of events threw a value of type ${typeof error}.`)
}

/**
 * Creates an emitter of events and the way to read them. A reader that throws or rejects disturbs neither the other readers
 * nor the emitter: its error becomes a warning of the process.
 */
export function createEvents(): Events {
  const readers = new Set<{ readonly read: EventReader }>()
  return {
    emit: (event) => {
      for (const { read } of [...readers]) tellReader(read, event)
    },
    subscribe: (read) => {
      const reader = { read }
      readers.add(reader)
      return () => void readers.delete(reader)
    },
  }
}
