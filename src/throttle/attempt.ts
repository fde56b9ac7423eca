import { keyedHash } from '../secrets.ts'

/** One attempt, by the keys of the buckets that it counts in: keyed hashes, which tell neither name nor network. */
export interface Attempt {
  /** The key of the user, or the client, and the network together. */
  readonly subjectAndNetwork: string
  /** The key of the user; empty for a client. */
  readonly user: string
  /** The key of the user and the IPv4 address or IPv6 /48; empty for a client. */
  readonly userAndSource: string
  /** The key of the network; empty for a client and for an unreadable address. */
  readonly network: string
}

/** An attempt at a client has none of these keys. */
const noUserKeys = { user: '', userAndSource: '', network: '' }

/** An attempt that counts nowhere. */
export const nowhere: Attempt = { subjectAndNetwork: '', ...noUserKeys }

/** Names an attempt at a client's secret. */
export function nameClientAttempt(key: Buffer, clientId: string, network: string): Attempt {
  return { subjectAndNetwork: keyedHash(key, `client\n${clientId}\n${network}`), ...noUserKeys }
}

/** An attempt at a user, whose keys are hashed when they are needed: most of a flood is refused with the first of them. */
export class UserAttempt implements Attempt {
  readonly subjectAndNetwork: string
  readonly #hashRest: () => Omit<Attempt, 'subjectAndNetwork'>
  #rest: Omit<Attempt, 'subjectAndNetwork'> | null = null

  constructor(key: Buffer, nameKey: string, network: string) {
    // stored rows have 'pair' in their keys
    this.subjectAndNetwork = keyedHash(key, `pair\n${nameKey}\n${network}`)
    this.#hashRest = () => ({
      user: keyedHash(key, `user\n${nameKey}`),
      userAndSource: keyedHash(key, `source\n${nameKey}\n${sourceOf(network)}`),
      network: isUnreadable(network) ? '' : keyedHash(key, `network\n${network}`),
    })
  }

  get user(): string {
    return this.#findRest().user
  }

  get userAndSource(): string {
    return this.#findRest().userAndSource
  }

  get network(): string {
    return this.#findRest().network
  }

  #findRest(): Omit<Attempt, 'subjectAndNetwork'> {
    this.#rest ??= this.#hashRest()
    return this.#rest
  }
}

/** Writes the keys as one text, under which look-ups at the same time share a statement. */
export function writeKeys({ subjectAndNetwork, user, userAndSource, network }: Attempt): string {
  return `${subjectAndNetwork} ${user} ${userAndSource} ${network}`
}

/** Reads what `writeKeys` wrote. */
export function readKeys(text: string): Attempt {
  const [subjectAndNetwork = '', user = '', userAndSource = '', network = ''] = text.split(' ')
  return { subjectAndNetwork, user, userAndSource, network }
}

/** The IPv4 address or IPv6 /48 of a network; each text that names no address is a source of its own. */
function sourceOf(network: string): string {
  return isUnreadable(network) ? network : network.split(':').slice(0, 3).join(':')
}

/**
 * Whether a proxy named no address. Several callers may share such a text, strangers and owner alike, so it never becomes a
 * known network and no name limit refuses it.
 */
function isUnreadable(network: string): boolean {
  return network.startsWith('?')
}
