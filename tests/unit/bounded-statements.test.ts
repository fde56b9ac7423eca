import { afterEach, describe, expect, test, vi } from 'vitest'
import { batchLookups } from '../../src/database/batch-lookups.ts'
import { boundQuery } from '../../src/database/bound-query.ts'
import { OAuthError } from '../../src/errors.ts'

/** A statement that is answered when the test says so. */
interface Sent {
  readonly keys: readonly string[]
  answer(): void
  fail(error: Error): void
}

/** Look-ups whose statements the test answers itself. */
function lookUps(maxUnderWay = 4, findBacklogMs?: () => number) {
  const sent: Sent[] = []
  const find = batchLookups<string>(
    (keys) =>
      new Promise((resolve, reject) => {
        sent.push({ keys, answer: () => resolve(new Map(keys.map((key) => [key, key]))), fail: reject })
      }),
    { maxUnderWay, findBacklogMs },
  )
  return { sent, find }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))
const overload = { code: 'temporarily_unavailable', isOverload: true, retryAfterSeconds: 1 }

afterEach(() => void vi.useRealTimers())

describe('batched look-ups', () => {
  test('that closely follow a statement of several keys wait for more keys where allowed', async () => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout'] }) // on a busy machine the second would not follow closely
    const { sent, find } = lookUps(1, () => 0)
    const first = [find('a'), find('b')]
    await turn()
    sent[0]?.answer()
    await Promise.all(first)
    const second = [find('c')]
    await turn()
    expect(sent.length).toBe(1)
    second.push(find('d'))
    vi.advanceTimersByTime(2)
    expect(sent.length).toBe(2)
    expect(sent[1]?.keys).toEqual(['c', 'd'])
    sent[1]?.answer()
    await Promise.all(second)
  })

  test('that follow a statement of one key are sent at once, so that sign-ins one after the other never wait', async () => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout'] })
    const { sent, find } = lookUps(1, () => 0)
    for (const key of ['a', 'b']) {
      const found = find(key)
      await turn()
      sent.at(-1)?.answer()
      expect(await found).toBe(key)
    }
    expect(sent.map(({ keys }) => keys)).toEqual([['a'], ['b']])
  })

  test('fetch the keys of one turn in one statement, and later keys in the next', async () => {
    const { sent, find } = lookUps(1)
    const first = [find('a'), find('b')]
    await turn()
    const second = [find('c'), find('d')]
    await turn()
    expect(sent.map(({ keys }) => keys)).toEqual([['a', 'b']])
    sent[0]?.answer()
    expect(await Promise.all(first)).toEqual(['a', 'b'])
    await turn()
    sent[1]?.answer()
    expect(await Promise.all(second)).toEqual(['c', 'd'])
  })

  test('fetch a key once for several callers', async () => {
    const { sent, find } = lookUps(1)
    const asked = [find('a'), find('b'), find('a')]
    await turn()
    expect(sent.map(({ keys }) => keys)).toEqual([['a', 'b']])
    sent[0]?.answer()
    expect(await Promise.all(asked)).toEqual(['a', 'b', 'a'])
  })

  test('fetch a thousand keys a statement, in four statements at most', async () => {
    const { sent, find } = lookUps()
    const asked = Array.from({ length: 5_500 }, (_, index) => find(`${index}`))
    for (let turns = 0; turns < 10; turns += 1) await turn()
    expect(sent.map(({ keys }) => keys.length)).toEqual([1_000, 1_000, 1_000, 1_000])
    sent[0]?.answer()
    for (let turns = 0; turns < 3; turns += 1) await turn()
    sent[4]?.answer()
    for (let turns = 0; turns < 3; turns += 1) await turn()
    for (const { answer } of sent) answer()
    expect(await Promise.all(asked)).toHaveLength(5_500)
    expect(sent.map(({ keys }) => keys.length)).toEqual([1_000, 1_000, 1_000, 1_000, 1_000, 500])
  })

  test('refuse the key after the ten thousandth waiting one', async () => {
    const { sent, find } = lookUps(1)
    const asked = [find('first')]
    await turn()
    for (let key = 0; key < 10_000; key += 1) asked.push(find(`${key}`))
    await expect(find('one more')).rejects.toMatchObject(overload)
    for (let statement = 0; statement <= 10; statement += 1) {
      sent[statement]?.answer()
      await turn()
      await turn()
    }
    expect(await Promise.all(asked)).toHaveLength(10_001)
  })

  test('refuse a key that has waited for two seconds, and no younger one', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const { sent, find } = lookUps(1)
    const first = find('a')
    await turn()
    const old = find('old')
    vi.advanceTimersByTime(2_001)
    const young = find('young')
    sent[0]?.answer()
    await expect(old).rejects.toMatchObject(overload)
    await turn()
    sent[1]?.answer()
    expect([await first, await young, sent[1]?.keys]).toEqual(['a', 'young', ['young']])
  })

  test('fail with the connection that the statement before them lost', async () => {
    const { sent, find } = lookUps(1)
    const first = find('a')
    await turn()
    const second = find('b')
    sent[0]?.fail(new OAuthError('temporarily_unavailable', 'away'))
    await expect(first).rejects.toThrow('away')
    await expect(second).rejects.toThrow('away')
    const third = find('c')
    await turn()
    sent[1]?.answer()
    expect(await third).toBe('c')
  })

  test('go on after a statement that failed by itself', async () => {
    const { sent, find } = lookUps(1)
    const first = find('a')
    await turn()
    const second = find('b')
    sent[0]?.fail(new Error('a fault'))
    await expect(first).rejects.toThrow('a fault')
    await turn()
    sent[1]?.answer()
    expect(await second).toBe('b')
  })
})

describe('a bounded query', () => {
  function openQuery() {
    const sent: { name: string; answer(): void; fail(error: Error): void }[] = []
    const query = boundQuery((name) => {
      return new Promise((resolve, reject) => {
        sent.push({ name, answer: () => resolve([]), fail: reject })
      })
    })
    return { sent, ask: (name: string) => query(name, '') }
  }

  test('sends one statement at a time, in order, and refuses the one after the two hundredth waiting one', async () => {
    const { sent, ask } = openQuery()
    const asked = Array.from({ length: 201 }, (_, index) => ask(`${index}`))
    await expect(ask('one more')).rejects.toMatchObject(overload)
    for (let statement = 0; statement < 201; statement += 1) {
      expect(sent).toHaveLength(statement + 1)
      sent[statement]?.answer()
      await turn()
    }
    expect(await Promise.all(asked)).toHaveLength(201)
    expect(sent.map(({ name }) => name)).toEqual(Array.from({ length: 201 }, (_, index) => `${index}`))
  })

  test('fails the waiting ones in an outage, and continues after any other failure', async () => {
    const { sent, ask } = openQuery()
    const [first, second] = [ask('a'), ask('b')]
    await turn()
    sent[0]?.fail(new OAuthError('temporarily_unavailable', 'Away.'))
    await expect(first).rejects.toThrow('Away.')
    await expect(second).rejects.toThrow('Away.')
    const [third, fourth] = [ask('c'), ask('d')]
    await turn()
    sent[1]?.fail(new Error('a constraint'))
    await expect(third).rejects.toThrow('a constraint')
    await turn()
    sent[2]?.answer()
    expect(await fourth).toEqual([])
  })
})
