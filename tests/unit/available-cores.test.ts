import { availableParallelism } from 'node:os'
import { describe, expect, test } from 'vitest'
import { availableCores, cpuQuota } from '../../src/available-cores.ts'

/** The files of a container, empty where there is none. */
function files(texts: Record<string, string>): (path: string) => string {
  return (path) => texts[path] ?? ''
}

const v2 = (text: string) => files({ '/sys/fs/cgroup/cpu.max': text })
const v1 = (quota: string, period: string) =>
  files({ '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': quota, '/sys/fs/cgroup/cpu/cpu.cfs_period_us': period })

const unlimited = Number.POSITIVE_INFINITY

describe('the CPUs a container may use', () => {
  test.each([
    ['200000 100000', 2],
    ['150000 100000', 1.5],
    ['50000 100000', 0.5],
    ['100000 50000', 2],
    ['400000', 4],
    ['max 100000', unlimited],
    ['max', unlimited],
    ['', unlimited],
    ['0 100000', unlimited],
    ['-1 100000', unlimited],
    ['abc def', unlimited],
    ['100000 0', unlimited],
  ])('cpu.max %j (cgroup v2) is %d', (text, cpus) => {
    expect(cpuQuota(v2(text))).toBe(cpus)
  })

  test.each([
    ['200000', '100000', 2],
    ['25000', '100000', 0.25],
    ['-1', '100000', unlimited],
    ['', '', unlimited],
    ['100000', '', unlimited],
  ])('cfs_quota_us %j of %j (cgroup v1) is %d', (quota, period, cpus) => {
    expect(cpuQuota(v1(quota, period))).toBe(cpus)
  })
})

describe('as many password checks at once', () => {
  test('as cores where nothing is limited', () => {
    expect(availableCores(files({}))).toBe(availableParallelism())
  })

  test('as the quota where that is smaller, and never fewer than one', () => {
    expect(availableCores(v2('10000 100000'))).toBe(1)
    expect(availableCores(v2('199999 100000'))).toBe(1)
    expect(availableCores(v2('100000 100000'))).toBe(1)
  })

  test('as cores where the quota is larger', () => {
    expect(availableCores(v2('100000000 100000'))).toBe(availableParallelism())
  })

  test('as this machine allows, read from its own files', () => {
    const cores = availableCores()
    expect(Number.isInteger(cores) && cores >= 1 && cores <= availableParallelism()).toBe(true)
  })
})
