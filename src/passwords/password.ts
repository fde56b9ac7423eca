import { OAuthError } from '../errors.ts'
import { generateBytes } from '../secrets.ts'
import { type Argon2, type Argon2Cost, loadArgon2 } from './argon2.ts'
import { type HashPlace, HashQueue, type HashQueueOptions, nobody } from './hash-queue.ts'

/** The cost of a password hash, and the limits of the hash queue. */
export interface PasswordOptions extends Argon2Cost, Omit<HashQueueOptions, 'queueSeconds'> {
  /** Maximum wait for a hash. Default: 5. */
  readonly queueSeconds?: number
}

/** Hashes and checks passwords behind one bounded queue. It never stores a password. */
export interface Passwords {
  readonly binding: string
  /** Hashes a password with argon2id at the configured cost. */
  hash(password: string, place?: HashPlace): Promise<string>
  /**
   * Tells whether `password` matches `storedHash`. `null` stands for an unknown user or one without a password: it is
   * checked against a decoy hash and never matches. Set `isRefused` if the caller refuses the user anyway.
   *
   * Every refusal costs as much as the most expensive known hash, and extra work makes up for a cheaper one. Rejects as the
   * hash queue does. If the stored text is not a hash, rejects with a plain Error, after the same amount of work.
   */
  match(storedHash: string | null, password: string, place: HashPlace, isRefused?: boolean): Promise<boolean>
  /** Sets the costs of all stored hashes, as `m=…,t=…,p=…` texts. Refusals then cost as much as the most expensive one. */
  noteStoredCosts(parameters: readonly string[]): void
  /** Throws the refusal that a hash would get now. Call it before spending other work on a request. */
  requireRoom(place: HashPlace): void
  /** Estimates how many milliseconds the waiting hashes will take. */
  findBacklogMs(): number
  /** Tells whether the cost of a hash differs from the configured one. */
  needsRenewal(storedHash: string): boolean
}

/** The defaults: a cost that OWASP recommends for argon2id, 512 waiting hashes, and a wait of 5 seconds. */
export const defaultPasswordOptions = {
  memoryKib: 19_456,
  passes: 2,
  lanes: 1,
  queueLimit: 512,
  queueSeconds: 5,
} as const

/** Loads argon2, and creates the hash queue and the decoy hash that no password matches. */
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

/** Compares passwords with stored hashes. Every refusal costs as much as the most expensive hash. */
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
    const hash = storedHash ?? this.#decoyHash // an unknown user costs as much as a user with a current hash
    this.#dearest = findDearest([this.#dearest, readHashCost(hash)])
    const matches = await this.#argon2.verify(hash, password).catch(async (cause: unknown) => {
      await this.#argon2.verify(this.#decoyHash, password)
      await this.#fillUp(this.#decoyHash, password, true)
      throw new Error('a stored hash is unreadable', { cause })
    })
    const isRight = matches && storedHash !== null
    // only refusals must take the same time, so a right password does not wait for the most expensive cost
    await this.#fillUp(hash, password, isRefused || !isRight)
    return isRight
  }

  /** Adds the work that a cheaper hash saves: first up to the configured cost, then further, as for an unknown user. */
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

/** Computes the work of argon2: its memory times its passes (RFC 9106 §3.1). */
function workOf({ memoryKib, passes }: Argon2Cost): number {
  return memoryKib * passes
}

/** Writes a hash with a random digest. Checking it takes as long as its cost says, and no password matches. */
export function writeDecoyHash({ memoryKib, passes, lanes }: Argon2Cost): string {
  const [salt, digest] = [16, 32].map((length) => generateBytes(length).toString('base64').replaceAll('=', ''))
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${lanes}$${salt}$${digest}`
}

const parameters = /^\$argon2id\$(?:v=\d+\$)?((?:[mtp]=\d+,?){3})\$/

/** Tells whether a hash has a cost. Accepts m, t and p in any order, since programs write them differently. */
function hasCost(hash: string, cost: Argon2Cost): boolean {
  const written = parameters.exec(hash)?.[1]?.split(',') ?? []
  if (!hash.startsWith('$argon2id$v=19$')) return false
  const expected = [`m=${cost.memoryKib}`, `t=${cost.passes}`, `p=${cost.lanes}`]
  return expected.every((parameter) => written.includes(parameter))
}

/** Returns the cost that a cheaper hash saves, or null if it saves too little for another call. */
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

/** Reads `m=…,t=…,p=…` in any order. Returns null if one of the three is missing. */
function readCost(text: string): Argon2Cost | null {
  const values = new Map(text.split(',').map((parameter) => [parameter.charAt(0), Number(parameter.slice(2))]))
  const [memoryKib, passes, lanes] = [values.get('m'), values.get('t'), values.get('p')]
  return memoryKib && passes && lanes ? { memoryKib, passes, lanes } : null
}

const longestPasswordBytes = 1024

/** Tells whether a user can have this password: it has 1 to 1,024 bytes of UTF-8 and no NUL. */
export function isPassword(password: string): boolean {
  const bytes = Buffer.byteLength(password)
  return bytes > 0 && bytes <= longestPasswordBytes && !password.includes('\0')
}

/** Refuses a password that no user can have. Throws OAuthError `invalid_request`. */
export function requirePassword(password: string): void {
  if (isPassword(password)) return
  throw new OAuthError('invalid_request', 'A password must have 1 to 1024 bytes of UTF-8 and no NUL.')
}
