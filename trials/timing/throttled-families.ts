import { setTimeout as sleep } from 'node:timers/promises'
import { openTimedConnection, type TimedConnection } from '../../bench/support/timed-connection.ts'
import type { Everybody } from './everybody.ts'
import type { Family } from './family.ts'
import { signInWriters } from './password-families.ts'

/** Creates sign-ins of all kinds of user that are refused because of too many attempts. */
export function throttledFamily(what: string, everybody: Everybody): Family {
  const { users, secrets } = everybody
  const { webapi } = signInWriters(everybody)
  return {
    what,
    status: 429,
    kinds: {
      'wrong password': users.ordinary.map((name) => webapi(name, secrets.wrongPassword)),
      'wrong password, again': users.others.map((name) => webapi(name, secrets.wrongPassword)),
      'right password': users.ordinary.map((name) => webapi(name, secrets.password)),
      'unknown user': users.unknown.map((name) => webapi(name, secrets.wrongPassword)),
      'disabled user, right password': users.disabled.map((name) => webapi(name, secrets.password)),
      'user without a password': users.withoutPassword.map((name) => webapi(name, secrets.wrongPassword)),
    },
  }
}

/** Guesses wrongly for each user until each one has to wait for at least `seconds`. Throws if that never happens. */
export async function guessUntilWaiting(
  connection: TimedConnection,
  everybody: Everybody,
  seconds: number,
): Promise<void> {
  const pending = new Set(namesOf(everybody))
  for (let guess = 0; pending.size > 0; guess += 1) {
    let shortest = Number.POSITIVE_INFINITY
    for (const name of pending) {
      const wait = await guessWrongly(connection, everybody, name)
      if (wait >= seconds) pending.delete(name)
      else shortest = Math.min(shortest, wait)
    }
    if (guess > maxGuesses) throw new Error(`nobody has to wait after ${maxGuesses} wrong guesses`)
    if (pending.size > 0 && shortest > 0) await sleep(shortest * 1_000)
  }
}

const maxGuesses = 40

/** Guesses wrongly for each user from one network after the other, until the limit on strangers is used up. */
export async function guessAsStrangers(url: string, everybody: Everybody): Promise<void> {
  const pending = new Set(namesOf(everybody))
  for (let network = 2; pending.size > 0; network += 1) {
    if (network > maxNetworks) throw new Error(`no stranger is refused after guesses from ${maxNetworks} networks`)
    const connection = await openTimedConnection(url, `127.0.0.${network}`)
    for (const name of pending) if ((await guessWrongly(connection, everybody, name)) > 0) pending.delete(name)
    connection.close()
  }
}

const maxNetworks = 40

/** Returns a network that no guess has come from yet. */
export const newcomersAddress = '127.0.0.250'

/** Returns the seconds to wait before the next guess, or 0 if the guess was checked. */
async function guessWrongly(connection: TimedConnection, everybody: Everybody, name: string): Promise<number> {
  const { text, status } = await connection.ask(signInWriters(everybody).webapi(name, everybody.secrets.wrongPassword))
  return status === 429 ? Number(/^retry-after: (\d+)/im.exec(text)?.[1] ?? 1) : 0
}

/** Lists the users that the throttled sign-ins name. */
function namesOf({ users }: Everybody): string[] {
  return [users.ordinary, users.others, users.unknown, users.disabled, users.withoutPassword].flat()
}
