import { OAuthError } from '../errors.ts'
import { generateBytes } from '../secrets.ts'
import { type Argon2, type Argon2Cost, loadArgon2 } from './argon2.ts'
import { type HashPlace, HashQueue, type HashQueueOptions, nobody } from './hash-queue.ts'

/** How passwords are hashed in this process. */
export interface PasswordOptions extends Argon2Cost, Omit<HashQueueOptions, 'queueSeconds'> {
  /** Longest wait for a hash. Default: 5. */
  readonly queueSeconds?: number
}

/** Everything that may happen to a password, behind one bounded queue. A password is an argument here, never kept. */
export interface Passwords {
  readonly binding: string
  /** An argon2id hash at today's cost. */
  hash(password: string, place?: HashPlace): Promise<string>
  /**
   * Whether `password` made `storedHash`. A refusal always costs as much as the dearest known hash: `null` (no user, or a
   * user without a password) costs a decoy and is false, and a cheaper hash is filled up. `isRefused` says that the caller
   * refuses the user anyway. Rejects as the hash queue does, and with a plain Error for a stored text that is no hash, after
   * the same work.
   */
  match(storedHash: string | null, password: string, place: HashPlace, isRefused?: boolean): Promise<boolean>
  /** Notes the costs that stored hashes have, as `m=…,t=…,p=…` texts, so that refusals cost as much as the dearest. */
  noteStoredCosts(parameters: readonly string[]): void
  /** Throws the refusal that a hash would meet at this moment, before anything is done for it. */
  requireRoom(place: HashPlace): void
  /** Returns how many milliseconds the hashes that wait will take. */
  findBacklogMs(): number
  /** Whether a hash was made with another cost than today's. */
  needsRenewal(storedHash: string): boolean
}

/** OWASP's first choice for argon2id, and a queue for the cores there are. */
export const defaultPasswordOptions = {
  memoryKib: 19_456,
  passes: 2,
  lanes: 1,
  queueLimit: 512,
  queueSeconds: 5,
} as const

/** Loads argon2 and creates the decoy, a hash that no password made. */
export async function createPasswords(options: PasswordOptions): Promise<Passwords> {
  const argon2 = await loadArgon2()
  const queue = new HashQueue({
    ...options,
    queueSeconds: options.queueSeconds ?? defaultPasswordOptions.queueSeconds,
  })
  const matcher = new PasswordMatcher(argon2, options)
  return {
    binding: argon2.binding,
    hash: (password, place = nobody) => queue.run(place, () => argon2.hash(password, options)),
    match: (storedHash, password, place, isRefused = false) =>
      queue.run(place, () => matcher.match(storedHash, password, isRefused)),
    noteStoredCosts: (parameters) => matcher.noteStoredCosts(parameters),
    requireRoom: (place) => queue.requireRoom(place),
    findBacklogMs: () => queue.findBacklogMs(),
    needsRenewal: (storedHash) => !hasCost(storedHash, options),
  }
}

/** Compares passwords with stored hashes so that every refusal costs as much as the dearest hash. */
class PasswordMatcher {
  readonly #argon2: Argon2
  readonly #today: Argon2Cost
  readonly #decoyHash: string
  #dearest: Argon2Cost

  constructor(argon2: Argon2, today: Argon2Cost) {
    this.#argon2 = argon2
    this.#today = today
    this.#decoyHash = writeDecoyHash(today)
    this.#dearest = today
  }

  noteStoredCosts(parameters: readonly string[]): void {
    this.#dearest = findDearest([this.#today, ...parameters.map(readCost)])
  }

  async match(storedHash: string | null, password: string, isRefused: boolean): Promise<boolean> {
    const hash = storedHash ?? this.#decoyHash // an unknown user costs what a user with today's hash costs
    this.#dearest = findDearest([this.#dearest, readHashCost(hash)])
    const matches = await this.#argon2.verify(hash, password).catch(async (cause: unknown) => {
      await this.#argon2.verify(this.#decoyHash, password)
      await this.#fillUp(this.#decoyHash, password, true)
      throw new Error('a stored hash is unreadable', { cause })
    })
    const isRight = matches && storedHash !== null
    // a right password does not wait for the dearest hash: only the times of refusals are compared
    await this.#fillUp(hash, password, isRefused || !isRight)
    return isRight
  }

  /** First up to today's cost, then on from there as for an unknown user, so that a cheaper hash is never quicker. */
  async #fillUp(hash: string, password: string, isRefused: boolean): Promise<void> {
    const toToday = findMissingCost(hash, this.#today)
    if (toToday) await this.#argon2.verify(writeDecoyHash(toToday), password)
    const toDearest = isRefused ? findMissingCost(toToday ? this.#decoyHash : hash, this.#dearest) : null
    if (toDearest) await this.#argon2.verify(writeDecoyHash(toDearest), password)
  }
}

function findDearest(costs: readonly (Argon2Cost | null)[]): Argon2Cost {
  const known = costs.filter((cost) => cost !== null)
  return known.reduce((one, other) => (workOf(other) > workOf(one) ? other : one))
}

/** argon2's work is its memory times its passes (RFC 9106 §3.1). */
function workOf({ memoryKib, passes }: Argon2Cost): number {
  return memoryKib * passes
}

/** The hash of nobody's password: checking it costs by the parameters, whatever the digest is. */
export function writeDecoyHash({ memoryKib, passes, lanes }: Argon2Cost): string {
  const [salt, digest] = [16, 32].map((length) => generateBytes(length).toString('base64').replaceAll('=', ''))
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${lanes}$${salt}$${digest}`
}

const parameters = /^\$argon2id\$(?:v=\d+\$)?((?:[mtp]=\d+,?){3})\$/

/** Writers differ in the order of m, t and p. */
function hasCost(hash: string, cost: Argon2Cost): boolean {
  const written = parameters.exec(hash)?.[1]?.split(',') ?? []
  if (!hash.startsWith('$argon2id$v=19$')) return false
  const expected = [`m=${cost.memoryKib}`, `t=${cost.passes}`, `p=${cost.lanes}`]
  return expected.every((parameter) => written.includes(parameter))
}

/** Returns the cost that a cheaper hash saves, or null when nothing worth a call is missing. */
export function findMissingCost(hash: string, dearest: Argon2Cost): Argon2Cost | null {
  const written = readHashCost(hash)
  const { memoryKib, passes, lanes } = dearest
  if (written?.memoryKib === memoryKib && written.passes < passes) {
    return { memoryKib, passes: passes - written.passes, lanes }
  }
  const missingKib = Math.floor((workOf(dearest) - (written ? workOf(written) : 0)) / passes)
  return missingKib >= 8 * lanes ? { memoryKib: missingKib, passes, lanes } : null
}

function readHashCost(hash: string): Argon2Cost | null {
  return readCost(parameters.exec(hash)?.[1] ?? '')
}

/** Reads `m=…,t=…,p=…` in any order; null for a text without all three. */
function readCost(text: string): Argon2Cost | null {
  const values = new Map(text.split(',').map((parameter) => [parameter.charAt(0), Number(parameter.slice(2))]))
  const [memoryKib, passes, lanes] = [values.get('m'), values.get('t'), values.get('p')]
  return memoryKib && passes && lanes ? { memoryKib, passes, lanes } : null
}

const longestPasswordBytes = 1024

/** Whether a password is one a user can have: 1 to 1,024 bytes of UTF-8, no NUL. */
export function isPassword(password: string): boolean {
  const bytes = Buffer.byteLength(password)
  return bytes > 0 && bytes <= longestPasswordBytes && !password.includes('\0')
}

/** Refuses a password that nobody can have. Throws OAuthError `invalid_request`. */
export function requirePassword(password: string): void {
  if (isPassword(password)) return
  throw new OAuthError('invalid_request', 'A password has 1 to 1024 bytes of UTF-8 and no NUL.')
}
