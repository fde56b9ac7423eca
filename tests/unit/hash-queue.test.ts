import { describe, expect, test } from 'vitest'
import { OAuthError } from '../../src/errors.ts'
import { createHashQueue } from '../../src/passwords/hash-queue.ts'

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

/** Lets everything that can go on go on. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

describe('the queue before hashing', () => {
  test('runs as many at once as it may, and the rest in order', async () => {
    const started: string[] = []
    const inTurn = createHashQueue(2, 10)
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

  test('refuses at once whoever comes when too many wait, and no one else', async () => {
    const started: string[] = []
    const inTurn = createHashQueue(1, 1)
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

  test('lets nobody wait when the limit is 0, and takes the next as soon as it is free', async () => {
    const inTurn = createHashQueue(1, 0)
    const job = createJob('one', [])
    const first = inTurn(job.run)
    await expect(inTurn(async () => 'two')).rejects.toMatchObject({ code: 'temporarily_unavailable' })
    job.finish()
    expect(await first).toBe('one')
    expect(await inTurn(async () => 'three')).toBe('three')
  })

  test('passes the turn when a job fails, and tells only whose job it was', async () => {
    const started: string[] = []
    const inTurn = createHashQueue(1, 5)
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

  test('never runs more than it may, over many jobs', async () => {
    const inTurn = createHashQueue(3, 1000)
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
