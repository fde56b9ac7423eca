import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/** Returns the number of cores for this process, or its container's CPU quota if that is smaller; at least 1. */
export function availableCores(readText: (path: string) => string = readFile): number {
  return Math.max(1, Math.floor(Math.min(availableParallelism(), cpuQuota(readText))))
}

/** Returns the container's CPU quota (cgroup v2, else v1), or Infinity without a limit. */
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
