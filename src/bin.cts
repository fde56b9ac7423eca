#!/usr/bin/env node
import { availableParallelism } from 'node:os'
import { setFlagsFromString } from 'node:v8'

// CommonJS on purpose: libuv reads the pool's size as the first ES module is loaded, so it must be set before.
// At least two threads more than password checks at once, so that nothing else ever waits behind hashing.
const concurrency = Number(process.env['HASH_CONCURRENCY']) || availableParallelism()
process.env['UV_THREADPOOL_SIZE'] ??= String(concurrency + 2)

// Bursts of sign-ins make V8 keep a young generation it never needs: 500 in flight took 167 MiB, with this 136.
setFlagsFromString('--semi-space-growth-factor=1')

import('./cli.js').then(({ run }) => run(process.argv.slice(2)))
