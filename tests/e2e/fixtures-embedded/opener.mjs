// A program that has an embedded database open: opens FOLDER, then answers each line it reads with one line of JSON.
// A line is SQL to run, or "close". The first line it writes says that the database is open, or why it is not.
import { createInterface } from 'node:readline'

const [, , moduleUrl, folder] = process.argv
const { openEmbedded } = await import(moduleUrl)
const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`)
const failed = (error) => ({ failed: error.message, code: error.code })

try {
  const database = await openEmbedded({ folder })
  say({ opened: true })
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === 'close') {
      await database.close()
      say({ closed: true })
      break
    }
    say(await database.script(line).then((rows) => ({ rows }), failed))
  }
} catch (error) {
  say(failed(error))
}
