/** The address that each peer listens on. */
export const place = { host: '127.0.0.1', port: 0, backlog: 1_024 }

/** Answers the bench's first question: starts the server on the given database and returns its URL. */
export function serve(start) {
  process.on('message', async ({ databaseUrl }) => {
    process.send({ url: await start(databaseUrl), pid: process.pid })
  })
  process.on('disconnect', () => process.exit()) // the bench has ended
}
