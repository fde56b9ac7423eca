import { hashOf } from './hash-of.ts'

/** A request that may change which token is live, and the time in which it can take effect. */
export interface Deed {
  readonly number: number
  readonly what: string
  /** When it was sent, by the monotonic clock. */
  readonly sentMs: number
  /** The same moment, by the database's clock. */
  readonly sentAt: number
  /** When its answer arrived; Infinity until then, and forever if none arrived. */
  answeredMs: number
  outcome: 'under way' | 'acknowledged' | 'unknown' | 'without effect'
}

/** A request that ends tokens and issues none. */
export interface Ending extends Deed {
  /** Ends tokens that were acknowledged before this moment. A disabling reaches until the user is enabled. */
  reachMs: number
  /** When its user can sign in again; Infinity while disabled. */
  closedMs: number
  readonly isDisabling: boolean
  readonly of: Token | Person
}

/** A user, or a device that signs. */
export interface Person {
  readonly name: string
  readonly seats: Seat[]
  endings: Ending[]
}

/** A place for one token. */
export interface Seat {
  readonly person: Person
  readonly device: string
  /** Deeds since the seat was last settled. `tokens` also starts there, but includes the token that the seat held then. */
  signIns: Deed[]
  tokens: Token[]
  /** The row of the table when the seat was last settled. */
  held: Row | null
}

/** A token whose sign-in was acknowledged. */
export interface Token {
  readonly seat: Seat
  readonly signIn: Deed
  readonly value: string
  readonly hash: string
  /** The client that can revoke it. */
  readonly clientId: string
  endings: Ending[]
  isSuperseded: boolean
  /** When its end became certain; Infinity until then. */
  deadMs: number
}

/** A seat's row in the table. */
export interface Row {
  readonly hash: string
  readonly isRevoked: boolean
  /** When it was taken, by the database's clock. */
  readonly takenAt: number
}

/** How often a token was accepted after its end was acknowledged, and the longest such time. */
export interface Echo {
  count: number
  late: number
  longestMs: number
}

/** Records every request and answer. Anything that contradicts the records is a violation. */
export interface Ledger {
  /** Descriptions of the violations. */
  readonly violations: readonly string[]
  readonly echo: Echo
  addPerson(name: string, devices: readonly string[]): Person
  /** Records that a sign-in is being sent. */
  beginSignIn(seat: Seat, what: string): Deed
  /** Records the token of a sign-in. */
  acknowledge(seat: Seat, signIn: Deed, value: string, clientId: string): Token
  /** Records that a revocation or a command is being sent. */
  beginEnding(of: Token | Person, what: string, isDisabling?: boolean): Ending
  /** Records the outcome of a request that issued no token. */
  conclude(deed: Deed | Ending, outcome: 'acknowledged' | 'unknown' | 'without effect'): void
  /** Records that a disabled user is being enabled, and, when called again, that this is done. */
  beginEnabling(disabling: Ending): void
  concludeEnabling(disabling: Ending): void
  /** Records that right credentials were refused as wrong. */
  denied(seat: Seat, signIn: Deed): void
  /** Records that a check, which began at the given time, accepted the token. */
  accepted(token: Token, beganMs: number, where: string): void
  /** Records that a check refused the token. */
  refused(token: Token, where: string): void
  report(violation: string, seat?: Seat): void
  /** Compares all seats with the table when no request is under way. From then on the records start from the table. */
  settle(people: readonly Person[], findRow: (seat: Seat) => Row | undefined): void
}

/** The bound after which a server must refuse a token that ended on another server. */
export const promisedMs = 250

const maxViolations = 10

/** Reads the monotonic clock and the database's clock, both in milliseconds. */
export interface Clock {
  now(): number
  nowAt(): number
}

const clock: Clock = { now: () => performance.now(), nowAt: () => Date.now() }

/** Creates an empty ledger. `cacheMs` is how long a server may cache a token if it misses the announcement of its end. */
export function createLedger(cacheMs: number, { now, nowAt }: Clock = clock): Ledger {
  const violations: string[] = []
  const echo: Echo = { count: 0, late: 0, longestMs: 0 }
  const openedMs = now()
  let deeds = 0

  function beginDeed(what: string): Deed {
    deeds += 1
    const moment = { sentMs: now(), sentAt: nowAt(), answeredMs: Number.POSITIVE_INFINITY }
    return { number: deeds, what, ...moment, outcome: 'under way' }
  }

  function report(violation: string, seat?: Seat): void {
    if (violations.length < maxViolations) violations.push(seat ? `${violation}\n${tellSeat(seat)}` : violation)
  }

  function acknowledge(seat: Seat, signIn: Deed, value: string, clientId: string): Token {
    const token: Token = { seat, signIn, value, hash: hashOf(value), clientId, endings: [], ...fresh }
    conclude(signIn, 'acknowledged')
    const earlier = seat.tokens.filter((other) => other.signIn.answeredMs < signIn.sentMs)
    for (const other of earlier) {
      other.isSuperseded = true
      end(other, signIn.answeredMs)
    }
    seat.tokens.push(token)
    for (const ending of seat.person.endings.filter(isDone)) {
      if (signIn.answeredMs >= ending.reachMs) continue
      if (signIn.sentMs > ending.answeredMs) report(`${tellToken(token)} was given to a disabled user`, seat)
      end(token, signIn.answeredMs)
    }
    return token
  }

  function conclude(deed: Deed | Ending, outcome: 'acknowledged' | 'unknown' | 'without effect'): void {
    deed.outcome = outcome
    if (outcome === 'unknown') return // it may still take effect
    deed.answeredMs = now()
    if (!('of' in deed) || outcome !== 'acknowledged') return
    const tokens = 'seats' in deed.of ? deed.of.seats.flatMap((seat) => seat.tokens) : [deed.of]
    for (const token of tokens) if (token.signIn.answeredMs < deed.reachMs) end(token, deed.answeredMs)
  }

  function accepted(token: Token, beganMs: number, where: string): void {
    const sinceMs = beganMs - token.deadMs
    if (sinceMs <= 0) return
    echo.count += 1
    if (sinceMs > promisedMs) echo.late += 1
    echo.longestMs = Math.max(echo.longestMs, sinceMs)
    if (sinceMs <= cacheMs) return
    const after = `${Math.round(sinceMs)} ms after its end was acknowledged`
    report(`${tellToken(token)} was accepted by ${where} in a check that began ${after}`, token.seat)
  }

  function refused(token: Token, where: string): void {
    if (!mayHaveEnded(token)) {
      report(`${tellToken(token)} was refused by ${where} though nothing can have ended it`, token.seat)
    }
    end(token, now())
  }

  function denied(seat: Seat, signIn: Deed): void {
    conclude(signIn, 'without effect')
    const isDisabled = seat.person.endings.some(
      (ending) => ending.isDisabling && mayCount(ending) && ending.closedMs >= signIn.sentMs,
    )
    if (!isDisabled) report(`${tellDeed(signIn)} was denied though the password was right`, seat)
  }

  function settleSeat(seat: Seat, row: Row | undefined): void {
    const settledMs = now()
    const problem = row ? findProblem(seat, row) : seat.held || seat.tokens.length > 0 ? 'has vanished' : null
    if (problem) report(`the seat ${tellName(seat)} ${problem}`, seat)
    for (const token of seat.tokens) if (!row || !isLive(token, row)) end(token, settledMs)
    seat.held = row ?? null
    seat.signIns = []
    seat.tokens = seat.tokens.filter((token) => token.hash === row?.hash)
    for (const token of seat.tokens) token.endings = []
  }

  function tellSeat({ person, signIns, tokens }: Seat): string {
    const endings = [...person.endings, ...tokens.flatMap((token) => token.endings)]
    const told = [...new Set([...tokens.map(({ signIn }) => signIn), ...signIns, ...endings])]
    const inOrder = told.toSorted((one, other) => one.sentMs - other.sentMs).slice(-25)
    return inOrder.map((deed) => `    ${tellDeed(deed)}`).join('\n')
  }

  function tellDeed({ number, what, sentMs, answeredMs, outcome }: Deed): string {
    const end = answeredMs === Number.POSITIVE_INFINITY ? '' : ` ${tellMoment(answeredMs)}`
    return `#${number} ${what}, sent ${tellMoment(sentMs)}, ${outcome}${end}`
  }

  function tellMoment(ms: number): string {
    return `${((ms - openedMs) / 1_000).toFixed(3)} s`
  }

  return {
    violations,
    echo,
    addPerson: (name, devices) => {
      const person: Person = { name, seats: [], endings: [] }
      for (const device of devices) person.seats.push({ person, device, signIns: [], tokens: [], held: null })
      return person
    },
    beginSignIn: (seat, what) => {
      const signIn = beginDeed(what)
      seat.signIns.push(signIn)
      return signIn
    },
    acknowledge,
    beginEnding: (of, what, isDisabling = false) => {
      const deed = beginDeed(what)
      const reachMs = isDisabling || !('seats' in of) ? Number.POSITIVE_INFINITY : deed.sentMs
      const ending: Ending = { ...deed, of, isDisabling, reachMs, closedMs: Number.POSITIVE_INFINITY }
      of.endings.push(ending)
      return ending
    },
    conclude,
    beginEnabling: (disabling) => {
      disabling.reachMs = Math.min(disabling.reachMs, now())
    },
    concludeEnabling: (disabling) => {
      disabling.closedMs = now()
    },
    denied,
    accepted,
    refused,
    report,
    settle: (people, findRow) => {
      for (const person of people) {
        for (const seat of person.seats) settleSeat(seat, findRow(seat))
        person.endings = []
      }
    },
  }
}

const fresh = { isSuperseded: false, deadMs: Number.POSITIVE_INFINITY }

/** Finds what is wrong with the row of a seat. */
function findProblem(seat: Seat, row: Row): string | null {
  const token = seat.tokens.find(({ hash }) => hash === row.hash)
  if (token) {
    if (token.isSuperseded) return `holds the superseded ${tellToken(token)} again`
    return findRevocationProblem(seat, row, token)
  }
  const isUnchanged = seat.held?.hash === row.hash
  const givenSince = seat.signIns.filter(isDone)
  if (isUnchanged) {
    if (givenSince.length > 0) return 'has lost every token that was acknowledged since it was last settled'
    return findRevocationProblem(seat, row, null)
  }
  const giver = seat.signIns.find((signIn) => signIn.outcome === 'unknown' && signIn.sentAt <= row.takenAt + clockMs)
  if (!giver) return 'holds a token that nobody was given and no unanswered sign-in explains'
  const lost = givenSince.find((signIn) => signIn.sentAt > row.takenAt + clockMs)
  if (lost) return `has lost the token of #${lost.number}: the one it holds was taken before that was sent`
  return findRevocationProblem(seat, row, null)
}

/** The resolution of the clocks. */
const clockMs = 1

/** Finds a row that says `revoked` when it must not, or the reverse. `token` is the row's token if it is known. */
function findRevocationProblem({ person, held }: Seat, row: Row, token: Token | null): string | null {
  const wasRevoked = held?.hash === row.hash && held.isRevoked
  const isAfter = (ending: Ending) =>
    token ? token.signIn.answeredMs < ending.reachMs : ending.sentAt > row.takenAt + clockMs
  const mayBeAfter = (ending: Ending) =>
    token
      ? ending.answeredMs >= token.signIn.sentMs
      : ending.sentAt + (ending.answeredMs - ending.sentMs) >= row.takenAt - 1_000
  const own = token?.endings ?? []
  const mustBe = wasRevoked || own.some(isDone) || person.endings.some((ending) => isDone(ending) && isAfter(ending))
  const mayBe = mustBe || own.some(mayCount) || person.endings.some((ending) => mayCount(ending) && mayBeAfter(ending))
  if (mustBe && !row.isRevoked) return 'holds a live token though its end was acknowledged'
  if (!mayBe && row.isRevoked) return 'holds a revoked token though nobody revoked it'
  return null
}

/** Tells from the row of its seat whether a token is live. */
export function isLive(token: Token, row: Row): boolean {
  return token.hash === row.hash && !row.isRevoked
}

function mayHaveEnded({ seat, signIn, endings, deadMs }: Token): boolean {
  const isLater = (deed: Deed) => deed !== signIn && mayCount(deed) && deed.answeredMs >= signIn.sentMs
  return (
    deadMs < Number.POSITIVE_INFINITY ||
    endings.some(mayCount) ||
    seat.signIns.some(isLater) ||
    seat.person.endings.some(isLater)
  )
}

function end(token: Token, ms: number): void {
  token.deadMs = Math.min(token.deadMs, ms)
}

function isDone({ outcome }: Deed): boolean {
  return outcome === 'acknowledged'
}

function mayCount({ outcome }: Deed): boolean {
  return outcome !== 'without effect'
}

function tellToken({ seat, signIn }: Token): string {
  return `token of #${signIn.number} (${tellName(seat)})`
}

function tellName({ person, device }: Seat): string {
  return `${person.name} '${device}'`
}
