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

/** Counts the live tokens that a change ended. */
interface EndingTokens {
  readonly endedTokens: number
}

/**
 * Describes one fact. An event is emitted once, after the fact has become true. It carries ids, names of roles, counts
 * and reasons, but never a secret, a password or the value of a token.
 */
export type Event =
  | ({ readonly type: 'user.created'; readonly role: string } & OfUser)
  | ({ readonly type: 'user.password_changed' } & OfUser & EndingTokens)
  | ({ readonly type: 'user.role_changed'; readonly role: string } & OfUser & EndingTokens)
  | ({ readonly type: 'user.disabled' } & OfUser & EndingTokens)
  | ({ readonly type: 'user.enabled' | 'user.removed' } & OfUser)
  | ({ readonly type: 'client.created' | 'client.enabled' | 'client.removed' } & OfClient)
  /** The old secret stays valid for `overlapSeconds`. */
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
  /** A client introspected a value that is not a live token. */
  | ({
      readonly type: 'token.introspected_inactive'
      readonly reason: string
      readonly userId?: string | undefined
    } & OfClient &
      OfRequest)

/** Describes the request that caused an event. */
export interface OfRequest {
  readonly requestId: string
  /** The caller's address: undefined over a Unix socket, `unreadable` when a proxy sent no valid one. */
  readonly address: string | undefined
  readonly durationMs: number
  /** The dialect or endpoint of the request. */
  readonly place: Readonly<Record<string, string>>
}

/** Says who revoked a token: an operator, the client that it was issued to, or its user. */
type Revocation =
  /** All tokens of the user, or the one in the seat with the label `device`. */
  | ({ readonly by: 'operator'; readonly device: string | null } & OfUser & EndingTokens)
  | ({ readonly by: 'client'; readonly tokenId: string } & OfUser & OfClient & OfRequest)
  | ({ readonly by: 'user'; readonly tokenId: string } & OfUser & OfRequest)

/** Describes a refusal. An id is undefined when the request named no known user or client. */
export interface Refusal extends OfRequest {
  /** The public error code. */
  readonly code: string
  /** The HTTP status of the error. A dialect may answer with another one. */
  readonly status: number
  /** The reason, for the log. */
  readonly reason: string
  readonly userId: string | undefined
  readonly clientId: string | undefined
  /** Whether the server was overloaded. */
  readonly isOverload: boolean
}

/** Sends an event to all readers. */
export type Emit = (event: Event) => void

/** Receives every event, in the order of emission. */
export type EventReader = (event: Event) => void | Promise<void>

/** Connects the code that emits events with the readers of events. */
export interface Events {
  readonly emit: Emit
  /** Adds a reader of future events. Returns a function that removes it. */
  readonly subscribe: (reader: EventReader) => () => void
}

/** Sends an event to one reader. Never throws: an error of the reader becomes a process warning. */
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
 * Creates an emitter of events, and a way to subscribe to them. A reader that throws or rejects affects neither the
 * other readers nor the emitter: its error becomes a process warning.
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
