import { createHook } from 'node:async_hooks'

/** The thread pool's work of either argon2 binding, as Node calls it: `@node-rs/argon2` gives it no name. */
const names = new Set(['undefined', 'argon2:HashWorker'])

/** How often argon2 ran in this process while `work` was under way. */
export async function countHashes(work: () => unknown): Promise<number> {
  let count = 0
  const hook = createHook({
    init: (_id, name) => {
      if (names.has(name)) count += 1
    },
  }).enable()
  try {
    await work()
  } finally {
    hook.disable()
  }
  return count
}
