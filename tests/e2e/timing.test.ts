// Trial: compares the times of thousands of requests
import { beforeAll, describe, expect, test } from 'vitest'
import { openTimedConnection } from '../../bench/support/timed-connection.ts'
import { loadArgon2 } from '../../src/passwords/argon2.ts'
import { clientFamilies } from '../../trials/timing/client-families.ts'
import { addEverybody, type Everybody, hashForEverybody, inventSecrets } from '../../trials/timing/everybody.ts'
import {
  askFamilies,
  type Family,
  type FamilyAnswers,
  findOddAnswers,
  isLeak,
  judgeTimes,
} from '../../trials/timing/family.ts'
import { isBlind, passwordFamilies } from '../../trials/timing/password-families.ts'
import { guessAsStrangers, newcomersAddress, throttledFamily } from '../../trials/timing/throttled-families.ts'
import { writeFindings } from '../../trials/timing/write-findings.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { readyServer } from '../support/processes.ts'

/** So dear that a hash which is missing, or cheaper, is most of what a sign-in takes. */
const cost = { memoryKib: 8_192, passes: 1, lanes: 1 }
const olderCost = { memoryKib: 256, passes: 1, lanes: 1 }

/** A server, and how people are added whom it has not been asked about. */
interface Stage {
  readonly url: string
  readonly addEverybody: () => Promise<Everybody>
}

async function setUp(variables: Record<string, string>): Promise<Stage> {
  const { database, url: databaseUrl } = await freshDatabase()
  await database.close()
  const { hash } = await loadArgon2()
  const secrets = inventSecrets(keepSecret)
  const hashes = await hashForEverybody(hash, secrets, cost, olderCost)
  const environment = {
    DATABASE_URL: databaseUrl,
    DIALECTS: 'webapi,webapi-session,envelope',
    ARGON2_MEMORY_KIB: String(cost.memoryKib),
    ARGON2_PASSES: String(cost.passes),
    ...variables,
  }
  const { url } = await readyServer({ environment })
  return { url, addEverybody: () => addEverybody(databaseUrl, hashes, secrets) }
}

function addFamilies(stage: Stage, families: readonly ((everybody: Everybody) => Family)[]): Promise<Family[]> {
  return Promise.all(families.map(async (write) => write(await stage.addEverybody())))
}

/** All kinds in turn, in blocks, until `isEnough` or there have been too many. */
async function ask(
  { url }: Stage,
  families: readonly Family[],
  { isEnough = () => true, from = '127.0.0.1' }: { isEnough?: (answers: FamilyAnswers) => boolean; from?: string } = {},
): Promise<FamilyAnswers> {
  const connection = await openTimedConnection(url, from)
  const parts: FamilyAnswers[] = []
  const answers: FamilyAnswers = (family, kind) => parts.flatMap((part) => part(family, kind))
  do parts.push(await askFamilies(connection, families, blocksAtATime))
  while (!isEnough(answers) && parts.length < maxParts)
  connection.close()
  return answers
}

const blocksAtATime = 40
const maxParts = 3

/**
 * What can be told apart: as text, by any byte; by time, when it surely differs by more than `share` of what the same
 * request for another person takes, asked in the same blocks. `npm run timing` looks more closely.
 */
function findLeaks(families: readonly Family[], answers: FamilyAnswers, share: number): string[] {
  const leaks = families.flatMap((family) => judgeTimes(family, answers, share)).filter(isLeak)
  const odd = families.flatMap((family) => findOddAnswers(family, answers))
  return [...odd, ...(leaks.length > 0 ? [writeFindings(leaks)] : [])]
}

const third = 1 / 3
/** Of an answer that costs no hash; one that does takes five times as long. */
const twice = 2

describe('refusals are alike in every byte and within a third of their time', () => {
  let stage: Stage

  beforeAll(async () => {
    stage = await setUp({ THROTTLE: 'off' })
  })

  test('for every fault of the user or the password, in every dialect', async () => {
    const families = await addFamilies(stage, passwordFamilies)
    const isEnough = (answers: FamilyAnswers) =>
      !isBlind(families.flatMap((family) => judgeTimes(family, answers, third)))
    const answers = await ask(stage, families, { isEnough })
    expect(findLeaks(families, answers, third)).toEqual([])
  })

  test('for every fault of the client or its secret, at every endpoint that needs one', async () => {
    const families = await addFamilies(stage, clientFamilies)
    const answers = await ask(stage, families)
    const [short, long] = [true, false].map((isShort) =>
      families.filter(({ what }) => what.includes('short') === isShort),
    )
    expect(findLeaks(short ?? [], answers, third)).toEqual([])
    expect(findLeaks(long ?? [], answers, twice)).toEqual([])
  })
})

test('refusals are alike for all users when strangers have guessed too often', async () => {
  const stage = await setUp({ THROTTLE: 'on', THROTTLE_STRANGERS_LIMIT: '5' })
  const everybody = await stage.addEverybody()
  await guessAsStrangers(stage.url, everybody)
  const families = [throttledFamily('strangers refused', everybody)]
  expect(findLeaks(families, await ask(stage, families, { from: newcomersAddress }), twice)).toEqual([])
})
