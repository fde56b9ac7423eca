// A job that runs by itself: signs in, calls an API, and says by its exit code what came of it. Give it a user of its
// own, since every sign-in ends the user's previous token. For crontab, with the variables in a file that only the job
// can read:
//
//   0 4 * * * cd /srv/job && node --env-file=job.env cron-job.mjs
//
// Exit codes: 0 done; 1 refused, somebody has to look; 75 not now (EX_TEMPFAIL), the next run may succeed.
import { authorizedFetch, TokenSourceError, tokenSource } from 'fastify-password-grant/client'

const { TOKEN_SERVER, CLIENT_ID, CLIENT_SECRET, USER_NAME, USER_PASSWORD, API_URL } = process.env

const url = new URL(API_URL)
const token = tokenSource({
  url: TOKEN_SERVER,
  clientId: CLIENT_ID,
  clientSecret: CLIENT_SECRET,
  username: USER_NAME,
  password: USER_PASSWORD,
})
const fetchWithToken = authorizedFetch(token)

try {
  const answer = await fetchWithToken(url, { signal: AbortSignal.timeout(60_000) })
  const text = await answer.text()
  if (answer.ok) console.log(text)
  else fail(answer.status >= 500 || answer.status === 429 ? 75 : 1, `The API answered ${answer.status}.`)
} catch (error) {
  if (error instanceof TokenSourceError) fail(error.code === 'temporarily_unavailable' ? 75 : 1, error.message)
  else fail(75, `The API cannot be reached: ${(error.cause ?? error).message}`)
}

function fail(code, message) {
  console.error(message)
  process.exitCode = code
}
