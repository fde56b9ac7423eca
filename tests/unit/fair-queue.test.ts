import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FairQueue, type PathQueue, PlainQueue } from '../../src/passwords/fair-queue.ts'

type Path = readonly [client: string, network: string]

/** A waiting entry. */
interface Item {
  readonly path: Path
  /** When it came. */
  readonly number: number
}

type Step =
  | { readonly kind: 'add' | 'take latest'; readonly path: Path }
  | { readonly kind: 'take next' }
  | { readonly kind: 'remove'; readonly pick: number }

const paths = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('x', 'y', 'z'))
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('add' as const), path: paths }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('take next' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('take latest' as const), path: paths }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), pick: fc.nat(50) }) },
  ),
  { maxLength: 60 },
)

function createQueue(): PathQueue<Item> {
  return new FairQueue(() => new FairQueue(() => new PlainQueue()))
}

/** Takes the steps and reports after each the removed entry, and the entries before and after it. */
function walk(
  taken: readonly Step[],
  look: (step: Step, got: Item | undefined, before: Item[], after: Item[]) => void,
) {
  const queue = createQueue()
  let waiting: Item[] = []
  for (const [number, step] of taken.entries()) {
    const before = waiting
    const got = go(queue, step, number, before)
    waiting = step.kind === 'add' && got ? [...before, got] : before.filter((item) => item !== got)
    expect(queue.size()).toBe(waiting.length)
    look(step, got, before, waiting)
  }
  return { queue, waiting }
}

/** Takes one step; returns the entry that came or went. */
function go(queue: PathQueue<Item>, step: Step, number: number, waiting: readonly Item[]): Item | undefined {
  switch (step.kind) {
    case 'add': {
      const item = { path: step.path, number }
      queue.add(item.path, item)
      return item
    }
    case 'take next':
      return queue.takeNext()
    case 'take latest':
      return queue.takeLatestOfLongest(step.path)
    case 'remove': {
      const item = waiting[step.pick % Math.max(1, waiting.length)]
      if (item) queue.remove(item.path, item)
      return item
    }
  }
}

const clientOf = ({ path }: Item) => path[0]
const placeOf = ({ path }: Item) => path.join(' ')

function countBy(items: readonly Item[], name: (item: Item) => string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const item of items) counts.set(name(item), (counts.get(name(item)) ?? 0) + 1)
  return counts
}

describe('queues that take turns', () => {
  test('predict whether a newcomer would be evicted', () => {
    const check = fc.property(steps, paths, (taken, path) => {
      const { queue } = walk(taken, () => undefined)
      const givesWay = queue.givesWay(path)
      const newcomer: Item = { path, number: -1 }
      queue.add(path, newcomer)
      expect(queue.takeLatestOfLongest(path) === newcomer).toBe(givesWay)
    })
    fc.assert(check)
  })

  test('lose no entry and count none twice through arrivals, departures and evictions', () => {
    fc.assert(
      fc.property(steps, (taken) => {
        const seen: Item[] = []
        const { queue, waiting } = walk(taken, (step, got, before) => {
          if (step.kind === 'add') return
          expect(got === undefined).toBe(before.length === 0)
          if (got) expect(before).toContain(got)
          if (got) seen.push(got)
        })
        for (const _ of waiting) seen.push(queue.takeNext() as Item)
        expect(queue.takeNext()).toBeUndefined()
        expect(queue.takeLatestOfLongest(['a', 'x'])).toBeUndefined()
        const added = taken.flatMap(({ kind }, number) => (kind === 'add' ? [number] : []))
        expect(seen.map(({ number }) => number).sort((one, other) => one - other)).toEqual(added)
      }),
    )
  })

  test('serve a network of a client in the order of arrival', () => {
    fc.assert(
      fc.property(steps, (taken) => {
        walk(taken, (step, got, before) => {
          if (step.kind !== 'take next' || !got) return
          expect(before.find((item) => placeOf(item) === placeOf(got))).toBe(got)
        })
      }),
    )
  })

  test.each([
    ['a client', clientOf, () => ''],
    ['a network of a client', placeOf, clientOf],
  ] as const)('give %s no second turn before each other waiting one has had one', (_who, nameOf, rivalsOf) => {
    fc.assert(
      fc.property(steps, (taken) => {
        const passedOver = new Map<string, Set<string>>() // since its last turn, the names that have waited without one
        walk(taken, (step, got, before, after) => {
          const left = countBy(after, nameOf)
          if (step.kind === 'take next' && got) {
            const name = nameOf(got)
            expect([...(passedOver.get(name) ?? [])]).toEqual([])
            for (const rivals of passedOver.values()) rivals.delete(name)
            const rivals = before.filter((item) => rivalsOf(item) === rivalsOf(got) && nameOf(item) !== name)
            passedOver.set(name, new Set(rivals.map(nameOf)))
          }
          for (const rivals of passedOver.values()) {
            for (const name of rivals) if (!left.has(name)) rivals.delete(name) // has not waited all the time
          }
        })
      }),
    )
  })

  test('evict the latest entry of the longest queue, and of the requested one among equals', () => {
    fc.assert(
      fc.property(steps, (taken) => {
        walk(taken, (step, got, before) => {
          if (step.kind !== 'take latest' || !got) return
          const [client, network] = step.path
          const ofClients = countBy(before, clientOf)
          const maxOfClient = Math.max(...ofClients.values())
          expect(ofClients.get(clientOf(got))).toBe(maxOfClient)
          if (ofClients.get(client) === maxOfClient) expect(clientOf(got)).toBe(client)
          const ofNetworks = countBy(
            before.filter((item) => clientOf(item) === clientOf(got)),
            placeOf,
          )
          const maxOfNetwork = Math.max(...ofNetworks.values())
          expect(ofNetworks.get(placeOf(got))).toBe(maxOfNetwork)
          if (clientOf(got) === client && ofNetworks.get(`${client} ${network}`) === maxOfNetwork) {
            expect(got.path).toEqual(step.path)
          }
          expect(before.findLast((item) => placeOf(item) === placeOf(got))).toBe(got)
        })
      }),
    )
  })

  test('never estimate too good a place without later arrivals', () => {
    fc.assert(
      fc.property(steps, paths, (taken, path) => {
        const { queue, waiting } = walk(taken, () => undefined)
        const estimate = queue.estimatePlace(path)
        expect(queue.size()).toBe(waiting.length) // asking changes nothing
        const newcomer = { path, number: taken.length }
        queue.add(path, newcomer)
        let place = 1
        while (queue.takeNext() !== newcomer) place += 1
        expect(estimate).toBeGreaterThanOrEqual(place)
        expect(estimate).toBeLessThanOrEqual(waiting.length + 1)
      }),
      { numRuns: 300 },
    )
  })

  test.each([
    ['a client without a waiting entry', ['c', 'x'], 3],
    ['a network without a waiting entry, of a client with some', ['a', 'y'], 4],
    ['the long queue itself', ['a', 'x'], 22],
    ['a short queue', ['b', 'x'], 4],
  ] as const)('estimate a short wait for others beside a long queue: %s', (_who, path, place) => {
    const queue = createQueue()
    for (let number = 0; number < 20; number += 1) queue.add(['a', 'x'], { path: ['a', 'x'], number })
    queue.add(['b', 'x'], { path: ['b', 'x'], number: 20 })
    expect(queue.estimatePlace(path)).toBe(place)
  })

  test('remove only entries that are in the queue', () => {
    const queue = createQueue()
    const [one, stranger]: Item[] = [0, 1].map((number) => ({ path: ['a', 'x'], number }))
    queue.add(['a', 'x'], one as Item)
    queue.remove(['a', 'x'], stranger as Item)
    queue.remove(['a', 'y'], one as Item)
    queue.remove(['b', 'x'], one as Item)
    expect(queue.size()).toBe(1)
    expect(queue.takeNext()).toBe(one)
    queue.remove(['a', 'x'], one as Item)
    expect(queue.size()).toBe(0)
  })
})
