import { keyedHash } from '../secrets.ts'

/** The keys of the buckets that count an attempt. They are keyed hashes, which reveal neither the name nor the network. */
export interface Attempt {
  /** The key of the user or client together with the network. */
  readonly subjectAndNetwork: string
  /** The key of the user; empty for a client. */
  readonly user: string
  /** The key of the user together with the IPv4 address or IPv6 /48; empty for a client. */
  readonly userAndSource: string
  /** The key of the network; empty for a client and for an unreadable address. */
  readonly network: string
}

/** The empty keys of an attempt at a client. */
const noUserKeys = { user: '', userAndSource: '', network: '' }

/** An attempt without any bucket, for a throttle that is off. */
export const nowhere: Attempt = { subjectAndNetwork: '', ...noUserKeys }

/** Creates the keys of an attempt at a client's secret. */
export function nameClientAttempt(key: Buffer, clientId: string, network: string): Attempt {
  return { subjectAndNetwork: keyedHash(key, `client\n${clientId}\n${network}`), ...noUserKeys }
}

/** An attempt at a user. It hashes most keys on demand, since the first one is enough to refuse most of a flood. */
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

/** Writes the keys as one text, by which concurrent look-ups share a statement. */
export function writeKeys({ subjectAndNetwork, user, userAndSource, network }: Attempt): string {
  return `${subjectAndNetwork} ${user} ${userAndSource} ${network}`
}

/** Reads keys that `writeKeys` wrote. */
export function readKeys(text: string): Attempt {
  const [subjectAndNetwork = '', user = '', userAndSource = '', network = ''] = text.split(' ')
  return { subjectAndNetwork, user, userAndSource, network }
}

/** Returns the IPv4 address or IPv6 /48 of a network. A text that is not an address is a source of its own. */
function sourceOf(network: string): string {
  return isUnreadable(network) ? network : network.split(':').slice(0, 3).join(':')
}

/**
 * Tells whether the text that a proxy sent is not an address. The user and strangers may share such a text, so it never
 * becomes a known network, and the limit on names does not apply to it.
 */
function isUnreadable(network: string): boolean {
  return network.startsWith('?')
}
