import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/** The smaller of the cores this process may run on and its container's CPU quota, at least 1. */
export function availableCores(readText: (path: string) => string = readFile): number {
  return Math.max(1, Math.floor(Math.min(availableParallelism(), cpuQuota(readText))))
}

/** CPUs a container may use (cgroup v2, else v1); Infinity where nothing is limited. */
export function cpuQuota(readText: (path: string) => string): number {
  const [max, period = '100000'] = (readText('/sys/fs/cgroup/cpu.max') || 'max').split(' ')
  const quota = max === 'max' ? readText('/sys/fs/cgroup/cpu/cpu.cfs_quota_us') : max
  const quotaPeriod = max === 'max' ? readText('/sys/fs/cgroup/cpu/cpu.cfs_period_us') : period
  return Number(quota) > 0 && Number(quotaPeriod) > 0 ? Number(quota) / Number(quotaPeriod) : Number.POSITIVE_INFINITY
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}
