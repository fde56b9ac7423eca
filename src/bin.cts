#!/usr/bin/env node
import { availableParallelism } from 'node:os'

// CommonJS on purpose: libuv reads the pool's size as the first ES module is loaded, so it must be set before.
// At least two threads more than password checks at once, so that nothing else ever waits behind hashing.
const concurrency = Number(process.env['HASH_CONCURRENCY']) || availableParallelism()
process.env['UV_THREADPOOL_SIZE'] ??= String(concurrency + 2)
import('./cli.js').then(({ run }) => run(process.argv.slice(2)))
