import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { copyInstallation } from './installations.ts'
import { runCommand } from './processes.ts'

/** Migrates an empty database up to an older version, as an installation of that time would. */
export async function migrateTo(version: number, url: string): Promise<void> {
  const installed = await copyInstallation()
  for (const file of await readdir(installed.sql)) {
    if (Number.parseInt(file, 10) > version) await rm(join(installed.sql, file))
  }
  const { code, stderr } = await runCommand(['migrate'], { bin: installed.bin, environment: { DATABASE_URL: url } })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
}
