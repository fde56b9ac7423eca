#!/usr/bin/env node
import { availableParallelism } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import { hearSignals } from './hear-signals.cts'

const onSignal = hearSignals()

// This file is CommonJS because libuv reads the size of its thread pool when the first ES module loads.
// Two threads more than concurrent password hashes, so that other work never waits for hashing.
const concurrency = Number(process.env['HASH_CONCURRENCY']) || availableParallelism()
process.env['UV_THREADPOOL_SIZE'] ??= String(concurrency + 2)

// By default V8 keeps a large young generation: 500 concurrent sign-ins took 181 MiB, and take 154 with the first flag.
// It also lets the old generation grow to four times the memory in use: a flood took 234 MiB, and takes 155 with the second.
setFlagsFromString('--semi-space-growth-factor=1')
setFlagsFromString('--heap-growing-percent=50')

import('./cli.js').then(({ run }) => run(process.argv.slice(2), onSignal))
