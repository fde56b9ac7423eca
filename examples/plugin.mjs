// A Fastify application with the token server inside. At start-up it adds a client and a user of its own, unless they
// are there already, and writes down what happens to users and clients from then on.
import Fastify from 'fastify'
import {
  addClient,
  addUser,
  createEvents,
  createPasswords,
  defaultPasswordOptions,
  migrate,
  openDatabase,
  tokenServer,
  webapi,
} from 'fastify-password-grant'

const { DATABASE_URL, HOST = '127.0.0.1', PORT = '3000' } = process.env
const { CLIENT_ID, CLIENT_SECRET, USER_NAME, USER_PASSWORD } = process.env

const app = Fastify()
const database = await openDatabase(DATABASE_URL)
app.addHook('onClose', () => database.close())
await migrate(database)

const events = createEvents()
events.subscribe((event) => console.log(JSON.stringify(event)))
const passwords = await createPasswords({ ...defaultPasswordOptions, concurrency: 1 })
const operator = { database, passwords, emit: events.emit }

await unlessTaken(addClient(operator, CLIENT_ID, { secret: { chosen: CLIENT_SECRET } }))
await unlessTaken(addUser(operator, USER_NAME, { password: USER_PASSWORD, role: 'Editor' }))

await app.register(tokenServer, { database, dialects: [webapi] })
console.log(`ready on ${await app.listen({ host: HOST, port: Number(PORT) })}`)

// what is there already is left as it is, its password included; every other refusal ends the start
async function unlessTaken(adding) {
  try {
    await adding
  } catch (error) {
    if (error.status !== 409) throw error
  }
}
