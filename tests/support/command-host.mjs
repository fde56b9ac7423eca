// Has loaded the built program, and runs one command after another as its process would: see warm-commands.ts.
import { Readable, Writable } from 'node:stream'

const { run } = await import(process.argv[2])

function replace(name, stream) {
  Object.defineProperty(process, name, { value: stream, configurable: true })
}

/** Takes the place of an output for one command. */
function hear(name) {
  const chunks = []
  replace(name, new Writable({ write: (chunk, _encoding, done) => done(void chunks.push(chunk)) }))
  return () => Buffer.concat(chunks).toString('utf8')
}

process.on('message', async ({ args, environment, input }) => {
  process.env = environment
  process.exitCode = undefined
  replace('stdin', Readable.from([Buffer.from(input)]))
  const [stdout, stderr] = [hear('stdout'), hear('stderr')]
  await run(args, () => undefined)
  process.send({ code: process.exitCode ?? 0, stdout: stdout(), stderr: stderr() })
})

process.send('ready')
