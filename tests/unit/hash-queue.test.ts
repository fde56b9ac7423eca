import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { OAuthError } from '../../src/errors.ts'
import { type HashPlace, HashQueue, type HashQueueOptions, nobody } from '../../src/passwords/hash-queue.ts'

/** A job that is under way until it is told how to end. */
function createJob(name: string, log: string[]) {
  let resolve = (_name: string) => {}
  let reject = (_error: Error) => {}
  const promise = new Promise<string>((yes, no) => {
    resolve = yes
    reject = no
  })
  const run = () => {
    log.push(name)
    return promise
  }
  return { run, finish: () => resolve(name), fail: () => reject(new Error(`${name} failed`)) }
}

/** A queue for one client alone, without a timeout. */
function openQueue(concurrency: number, queueLimit: number) {
  const queue = new HashQueue({ concurrency, queueLimit, queueSeconds: 60 })
  return <T>(job: () => Promise<T>) => queue.run(nobody, job)
}

/** Lets everything that can go on go on. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

describe('the queue before hashing', () => {
  test('runs as many at once as it may, and the rest in order', async () => {
    const started: string[] = []
    const inTurn = openQueue(2, 10)
    const jobs = ['a', 'b', 'c', 'd', 'e'].map((name) => createJob(name, started))
    const done = jobs.map((job) => inTurn(job.run))
    await settle()
    expect(started).toEqual(['a', 'b'])
    jobs[1]?.finish()
    await settle()
    expect(started).toEqual(['a', 'b', 'c'])
    jobs[0]?.finish()
    jobs[2]?.finish()
    await settle()
    expect(started).toEqual(['a', 'b', 'c', 'd', 'e'])
    jobs[3]?.finish()
    jobs[4]?.finish()
    expect(await Promise.all(done)).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  test('refuses a job at once only when too many wait', async () => {
    const started: string[] = []
    const inTurn = openQueue(1, 1)
    const [one, two, three] = ['one', 'two', 'three'].map((name) => createJob(name, started))
    if (!one || !two || !three) throw new Error('three jobs')
    const first = inTurn(one.run)
    const second = inTurn(two.run)
    const refusal = await inTurn(three.run).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(OAuthError)
    expect(refusal).toMatchObject({ code: 'temporarily_unavailable', status: 503, retryAfterSeconds: 1 })
    one.finish()
    two.finish()
    expect(await Promise.all([first, second])).toEqual(['one', 'two'])
    expect(started).toEqual(['one', 'two'])
  })

  test('lets no job wait when the limit is 0, and takes the next as soon as it is free', async () => {
    const inTurn = openQueue(1, 0)
    const job = createJob('one', [])
    const first = inTurn(job.run)
    await expect(inTurn(async () => 'two')).rejects.toMatchObject({ code: 'temporarily_unavailable' })
    job.finish()
    expect(await first).toBe('one')
    expect(await inTurn(async () => 'three')).toBe('three')
  })

  test('passes the turn when a job fails, and reports only to its caller', async () => {
    const started: string[] = []
    const inTurn = openQueue(1, 5)
    const bad = createJob('bad', started)
    const failing = inTurn(bad.run).catch((error: Error) => error.message)
    const next = inTurn(async () => 'next')
    const thrower = inTurn(() => {
      throw new Error('thrown at once')
    }).catch((error: Error) => error.message)
    const last = inTurn(async () => 'last')
    bad.fail()
    expect(await Promise.all([failing, next, thrower, last])).toEqual(['bad failed', 'next', 'thrown at once', 'last'])
  })

  test('never exceeds its concurrency over many jobs', async () => {
    const inTurn = openQueue(3, 1000)
    let running = 0
    let most = 0
    await Promise.all(
      Array.from({ length: 200 }, () =>
        inTurn(async () => {
          running += 1
          most = Math.max(most, running)
          await settle()
          running -= 1
        }),
      ),
    )
    expect([most, running]).toEqual([3, 0])
  })
})

/** A queue whose hashes take as long as they are told, by a clock that stands still meanwhile. */
function openSlowQueue(options: Partial<HashQueueOptions> = {}) {
  const queue = new HashQueue({ concurrency: 1, queueLimit: 1_000, queueSeconds: 5, ...options })
  const started: string[] = []
  const refused = new Map<string, unknown>()
  const finishers: (() => void)[] = []
  return {
    started,
    refused,
    /** Asks for a hash that is under way until the next `finish`. */
    ask: (name: string, place: HashPlace = nobody) => {
      const job = createJob(name, started)
      const asked = queue.run(place, () => {
        finishers.push(job.finish)
        return job.run()
      })
      asked.catch((error: unknown) => refused.set(name, error))
      return asked
    },
    /** Lets the hash under way that began first take so many more seconds, and then the next begin. */
    finish: async (seconds = 0) => {
      if (seconds > 0) vi.advanceTimersByTime(seconds * 1_000)
      finishers.shift()?.()
      await settle()
    },
    /** Hashes that delay no other job. */
    practise: async (seconds: number) => {
      await queue.run(nobody, async () => void vi.advanceTimersByTime(seconds * 1_000))
    },
  }
}

const from = (client: string, network = '192.0.2.1'): HashPlace => ({ client, network })
const full = { code: 'temporarily_unavailable', status: 503, reason: 'hash queue full' }
const tooOld = { code: 'temporarily_unavailable', status: 503, reason: 'waited too long for a hash' }
const tooLong = { code: 'temporarily_unavailable', status: 503, reason: 'the wait for a hash is too long' }
const hungUp = { code: 'invalid_request', reason: 'the caller has hung up' }

describe('in a long hash queue', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('clients take turns, then the networks of a client, then a network’s jobs in order of arrival', async () => {
    const { ask, finish, started } = openSlowQueue()
    ask('under way')
    for (const name of ['a1', 'a2', 'a3', 'a4']) ask(name, from('a', 'one'))
    ask('a-elsewhere', from('a', 'two'))
    for (const name of ['b1', 'b2']) ask(name, from('b'))
    ask('c1', from('c'))
    for (let hash = 0; hash < 9; hash += 1) await finish()
    expect(started).toEqual(['under way', 'a1', 'b1', 'c1', 'a-elsewhere', 'b2', 'a2', 'a3', 'a4'])
  })

  test.each([
    ['of the client that has most waiting', ['a', 'a', 'a', 'b'], 'b', 2],
    ['of the newcomer, where that client has most', ['a', 'a', 'b', 'b'], 'b', 4],
    ['of the newcomer, where several have as many', ['a', 'b', 'c', 'd'], 'e', 4],
    ['of the newcomer, where that one alone waits', ['a', 'a', 'a', 'a'], 'a', 4],
    ['of the newcomer, where that client comes to have as many', ['a', 'a', 'b', 'c'], 'b', 4],
  ] as const)('at its limit, the latest %s is evicted', async (_whose, waiting, newcomer, givesWay) => {
    const { ask, finish, started, refused } = openSlowQueue({ queueLimit: waiting.length })
    ask('under way')
    for (const [number, client] of [...waiting, newcomer].entries()) ask(`${number}`, from(client))
    await settle()
    expect([...refused]).toEqual([[`${givesWay}`, expect.objectContaining(full)]])
    for (let hash = 0; hash <= waiting.length; hash += 1) await finish()
    const served = [...waiting, newcomer].flatMap((_client, number) => (number === givesWay ? [] : [`${number}`]))
    expect(started.slice(1).sort()).toEqual(served)
  })

  test('a flood from one network of a client evicts no other network’s job', async () => {
    const { ask, refused } = openSlowQueue({ queueLimit: 10 })
    ask('under way')
    for (let number = 1; number <= 10; number += 1) ask(`flood ${number}`, from('app', '203.0.113.1'))
    for (let number = 1; number <= 4; number += 1) ask(`elsewhere ${number}`, from('app', `198.51.100.${number}`))
    for (let number = 11; number <= 20; number += 1) ask(`flood ${number}`, from('app', '203.0.113.1'))
    await settle()
    const numbers = Array.from({ length: 14 }, (_, index) => index + 7)
    expect([...refused.keys()].sort()).toEqual(numbers.map((number) => `flood ${number}`).sort())
  })

  test('a job that waits too long is never hashed and frees its place', async () => {
    const { ask, finish, started, refused } = openSlowQueue({ queueSeconds: 5, queueLimit: 2 })
    ask('under way')
    ask('old')
    vi.advanceTimersByTime(3_000)
    ask('young')
    vi.advanceTimersByTime(1_999)
    await settle()
    expect([...refused]).toEqual([])
    vi.advanceTimersByTime(1)
    await settle()
    expect([...refused]).toEqual([['old', expect.objectContaining(tooOld)]])
    ask('new')
    await finish()
    await finish()
    await finish()
    expect(started).toEqual(['under way', 'young', 'new'])
    expect(refused.size).toBe(1)
  })

  test('a job is refused on arrival when recent hashes predict too long a wait', async () => {
    const { ask, practise, finish, started, refused } = openSlowQueue({ queueSeconds: 10 })
    await practise(2)
    ask('under way')
    ask('two seconds')
    ask('four seconds')
    ask('six seconds')
    await settle()
    expect([...refused]).toEqual([['six seconds', expect.objectContaining({ ...tooLong, retryAfterSeconds: 4 })]])
    await finish()
    ask('four seconds again')
    await finish()
    await finish()
    await finish()
    expect(started).toEqual(['under way', 'two seconds', 'four seconds', 'four seconds again'])
  })

  test('the predicted wait shrinks with the number of parallel hashes', async () => {
    const { ask, practise, refused } = openSlowQueue({ concurrency: 2, queueSeconds: 10 })
    await practise(2)
    for (let number = 1; number <= 8; number += 1) ask(`${number}`)
    await settle()
    expect([...refused.keys()]).toEqual(['8']) // two under way, five seconds for five
    expect(refused.get('8')).toMatchObject({ retryAfterSeconds: 5 })
  })

  test('only the longest queue refuses on arrival', async () => {
    const { ask, practise, refused } = openSlowQueue({ queueSeconds: 10 })
    await practise(1)
    ask('under way', from('a'))
    for (let number = 1; number <= 6; number += 1) ask(`a${number}`, from('a'))
    ask('b', from('b'))
    ask('a elsewhere', from('a', '198.51.100.7'))
    await settle()
    expect([...refused.keys()]).toEqual(['a6'])
  })

  test('no job is refused on arrival before the first measured hash, or while none is under way', async () => {
    const { ask, practise, finish, started, refused } = openSlowQueue({ queueSeconds: 10 })
    for (let number = 1; number <= 20; number += 1) ask(`${number}`)
    await settle()
    for (let number = 1; number <= 20; number += 1) await finish()
    await practise(100)
    ask('alone')
    await settle()
    expect([started.length, refused.size]).toEqual([21, 0])
  })

  test.each([
    ['hashes of a second, ten before', [1], 10, '10'],
    ['hashes of a fifth of a second, ten before', [0.2], 10, '2'],
    ['hashes of no time at all', [0], 10, '1'],
    ['no other waiting job', [1], 0, '1'],
    ['hashes that were slow once', [60, ...Array<number>(60).fill(0.1)], 10, '3'],
    ['hashes that became slow', [...Array<number>(60).fill(0.1), ...Array<number>(60).fill(1)], 10, '10'],
  ] as const)('a refused job gets the seconds to wait: %s', async (_what, hashes, waiting, seconds) => {
    const { ask, practise, refused } = openSlowQueue({ queueLimit: waiting, queueSeconds: 600 })
    for (const hash of hashes) await practise(hash)
    ask('under way')
    for (let number = 1; number <= waiting; number += 1) ask(`${number}`)
    ask('refused')
    await settle()
    expect([...refused.keys()]).toEqual(['refused'])
    expect(refused.get('refused')).toMatchObject({ ...full, retryAfterSeconds: Number(seconds) })
  })
})

describe('a caller that hangs up', () => {
  test('before asking costs no hash, even in an empty queue', async () => {
    const started: string[] = []
    const queue = new HashQueue({ concurrency: 1, queueLimit: 1, queueSeconds: 5 })
    const place = { ...nobody, signal: AbortSignal.abort() }
    await expect(queue.run(place, createJob('never', started).run)).rejects.toMatchObject(hungUp)
    expect(await queue.run(nobody, async () => 'next')).toBe('next')
    expect(started).toEqual([])
  })

  test('while waiting costs no hash and leaves the place to others', async () => {
    const { ask, finish, started, refused } = openSlowQueue({ queueLimit: 2 })
    const leaving = new AbortController()
    ask('under way')
    ask('leaves', { ...nobody, signal: leaving.signal })
    ask('stays')
    leaving.abort()
    await settle()
    ask('comes')
    await settle()
    expect([...refused]).toEqual([['leaves', expect.objectContaining(hungUp)]])
    for (let hash = 0; hash < 3; hash += 1) await finish()
    expect(started).toEqual(['under way', 'stays', 'comes'])
  })

  test('like all others leaves the queue empty', async () => {
    const { ask, finish, started, refused } = openSlowQueue()
    const leaving = new AbortController()
    ask('under way')
    for (const client of ['a', 'b', 'c']) ask(client, { ...from(client), signal: leaving.signal })
    leaving.abort()
    await settle()
    expect([...refused.keys()]).toEqual(['a', 'b', 'c'])
    await finish()
    ask('next')
    await settle()
    expect(started).toEqual(['under way', 'next'])
  })

  test('during the hash gets its result, and the turn is passed once', async () => {
    const { ask, finish, started } = openSlowQueue()
    const leaving = new AbortController()
    const asked = ask('under way', { ...nobody, signal: leaving.signal })
    ask('two')
    ask('three')
    leaving.abort()
    await settle()
    expect(started).toEqual(['under way'])
    await finish()
    expect(await asked).toBe('under way')
    expect(started).toEqual(['under way', 'two'])
  })
})

describe('a job that left the queue', () => {
  const count = 10_000

  interface Crowd {
    readonly callers: readonly AbortController[]
    readonly queue: HashQueue
    /** Ends the hash that all wait for. */
    readonly finish: () => void
  }

  const ways: readonly (readonly [way: string, queueSeconds: number, leave: (crowd: Crowd) => void])[] = [
    ['by having had a turn', 60, ({ finish }) => finish()],
    ['by having waited too long', 0.2, () => undefined],
    [
      'by hanging up',
      60,
      ({ callers }) => {
        for (const caller of callers) caller.abort()
      },
    ],
    [
      'by giving way',
      60,
      ({ queue }) => {
        const ask = (client: number) => queue.run(from(`${client}`), async () => undefined).catch(() => undefined)
        for (let number = 0; number < count; number += 1) ask(number % 100)
      },
    ],
  ]

  test.each(ways)('%s leaves no timer and no listener behind, 10,000 times', async (_way, queueSeconds, leave) => {
    const queue = new HashQueue({ concurrency: 1, queueLimit: count, queueSeconds })
    const { run, finish } = createJob('under way', [])
    const callers = Array.from({ length: count }, () => new AbortController())
    const timersBefore = countTimers()
    const first = queue.run(nobody, run)
    const left: AbortController[] = []
    const asked = callers.map(async (caller) => {
      await queue.run({ ...from('many'), signal: caller.signal }, async () => undefined).catch(() => undefined)
      left.push(caller)
    })
    expect(countListeners(callers)).toBe(count)
    expect(countTimers() - timersBefore).toBeGreaterThan(0.9 * count)
    leave({ callers, queue, finish })
    await Promise.all(asked.slice(0.9 * count)) // the latest give way first
    await settle()
    expect(left.length).toBeGreaterThan(0.9 * count)
    expect(countListeners(left)).toBe(0)
    finish()
    await Promise.all([first, ...asked])
    await settle()
    expect(countListeners(callers)).toBe(0)
    expect(countTimers() - timersBefore).toBeLessThan(0.1 * count)
  })
})

function countTimers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
}

function countListeners(callers: readonly AbortController[]): number {
  return callers.reduce((sum, { signal }) => sum + getEventListeners(signal, 'abort').length, 0)
}
