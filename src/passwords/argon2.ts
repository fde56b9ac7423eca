/** The cost of a new hash. RFC 9106 calls the fields m, t and p. */
export interface Argon2Cost {
  readonly memoryKib: number
  readonly passes: number
  readonly lanes: number
}

/** The two argon2id functions that this process uses, and the package that provides them. */
export interface Argon2 {
  readonly binding: 'argon2' | '@node-rs/argon2'
  /** Hashes a password with a new random salt. Returns a PHC string. */
  hash(password: string, cost: Argon2Cost): Promise<string>
  /** Tells whether the password matches the hash. Rejects if the stored text is not an argon2 hash. */
  verify(hash: string, password: string): Promise<boolean>
}

/** Loads `@node-rs/argon2`, which is twice as fast as `argon2` as distributed, or else `argon2`. */
export async function loadArgon2(): Promise<Argon2> {
  return (await loadNodeRs().catch(() => null)) ?? loadNode()
}

/** Loads the optional dependency, which has no install script. Rejects if its package for this platform is missing. */
export async function loadNodeRs(): Promise<Argon2> {
  const { hash, verify } = await import('@node-rs/argon2')
  const argon2id = 2 // its enum is a `const enum`, which erasable TypeScript cannot read
  return {
    binding: '@node-rs/argon2',
    hash: (password, { memoryKib, passes, lanes }) =>
      hash(password, { algorithm: argon2id, memoryCost: memoryKib, timeCost: passes, parallelism: lanes }),
    verify,
  }
}

/** Loads the dependency that is always installed. */
export async function loadNode(): Promise<Argon2> {
  const { default: argon2 } = await import('argon2')
  return {
    binding: 'argon2',
    hash: (password, { memoryKib, passes, lanes }) =>
      argon2.hash(password, { type: argon2.argon2id, memoryCost: memoryKib, timeCost: passes, parallelism: lanes }),
    verify: (hash, password) => argon2.verify(hash, password),
  }
}
