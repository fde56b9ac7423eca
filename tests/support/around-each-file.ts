import { afterAll } from 'vitest'
import { forgetTimes } from './device-time.ts'
import { closeDatabases } from './fresh-database.ts'
import { forgetSecrets } from './kept-secrets.ts'
import { endProcesses } from './processes.ts'
import { closeServers } from './test-server.ts'

// Files share the modules of their worker, so that each file need not load them again; what they keep is for one file.
afterAll(async () => {
  try {
    await closeServers()
    await endProcesses()
  } finally {
    await closeDatabases()
    forgetSecrets()
    forgetTimes()
  }
})
