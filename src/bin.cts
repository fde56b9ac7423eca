#!/usr/bin/env node
import { availableParallelism } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import { hearSignals } from './hear-signals.cts'

const onSignal = hearSignals()

// CommonJS on purpose: libuv reads the pool's size as the first ES module is loaded, so it must be set before.
// At least two threads more than password checks at once, so that nothing else ever waits behind hashing.
const concurrency = Number(process.env['HASH_CONCURRENCY']) || availableParallelism()
process.env['UV_THREADPOOL_SIZE'] ??= String(concurrency + 2)

// V8 would keep a large young generation (500 sign-ins in flight took 181 MiB, without 154), and let the old one grow to
// four times what is in use (a flood took 234 MiB, without 155).
setFlagsFromString('--semi-space-growth-factor=1')
setFlagsFromString('--heap-growing-percent=50')

import('./cli.js').then(({ run }) => run(process.argv.slice(2), onSignal))
