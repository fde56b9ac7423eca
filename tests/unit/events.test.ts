import { expect, onTestFinished, test } from 'vitest'
import { createEvents, type Event } from '../../src/events.ts'

const enabled: Event = { type: 'user.enabled', userId: 'one' }
const removed: Event = { type: 'user.removed', userId: 'one' }

/** The warnings of this process from now on, until the test is over. */
function hearWarnings(): string[] {
  const heard: string[] = []
  const hear = ({ message }: Error) => void heard.push(message)
  process.on('warning', hear)
  onTestFinished(() => void process.off('warning', hear))
  return heard
}

test('every listener hears every event in order, from its subscription until it unsubscribes', () => {
  const { emit, subscribe } = createEvents()
  const [first, second]: [Event[], Event[]] = [[], []]
  emit(enabled)
  const leave = subscribe((event) => void first.push(event))
  subscribe((event) => void second.push(event))
  for (const event of [enabled, removed]) emit(event)
  leave()
  emit(enabled)
  expect(first).toEqual([enabled, removed])
  expect(second).toEqual([enabled, removed, enabled])
})

test('a function that subscribes twice is two listeners', () => {
  const { emit, subscribe } = createEvents()
  const heard: Event[] = []
  const read = (event: Event) => void heard.push(event)
  const leave = subscribe(read)
  subscribe(read)
  leave()
  emit(enabled)
  expect(heard).toEqual([enabled])
})

test.each<[string, () => Promise<void>]>([
  [
    'throws',
    () => {
      throw new Error('a reader failed')
    },
  ],
  ['rejects', () => Promise.reject(new Error('a reader failed'))],
])(
  'a listener that %s disturbs neither the emitter nor the next listener, and becomes a warning',
  async (_how, fail) => {
    const warnings = hearWarnings()
    const { emit, subscribe } = createEvents()
    const heard: Event[] = []
    subscribe(fail)
    subscribe((event) => void heard.push(event))
    emit(enabled)
    expect(heard).toEqual([enabled])
    await expect.poll(() => warnings).toEqual(['a reader failed'])
  },
)

test('a listener that unsubscribes during an event removes no other', () => {
  const { emit, subscribe } = createEvents()
  const heard: Event[] = []
  const leave = subscribe(() => leave())
  subscribe((event) => void heard.push(event))
  for (const event of [enabled, removed]) emit(event)
  expect(heard).toEqual([enabled, removed])
})
