// Trial: kills servers and PostgreSQL for some twenty seconds
import { describe, expect, test } from 'vitest'
import { generateBytes, generateId } from '../../src/secrets.ts'
import { secretBytes, writeTokenValue } from '../../src/tokens/token-value.ts'
import { createLedger, type Ledger, type Row, type Seat, type Token } from '../../trials/chaos/ledger.ts'
import { playEmbedded, playTwoServers } from '../../trials/chaos/scene.ts'
import { keepSecret } from '../support/kept-secrets.ts'

test('servers and PostgreSQL killed under load lose no acknowledged token and bring none back', async () => {
  const never = new Promise<never>(() => undefined)
  const options = { seconds: 2, seed: 20, roundSeconds: 2, tokenCacheSeconds: 1 }
  const reports = await Promise.all([playTwoServers(options, never), playEmbedded(options, never)])
  expect(reports.map(({ name, violations }) => ({ name, violations }))).toEqual([
    { name: 'two servers', violations: [] },
    { name: 'embedded', violations: [] },
  ])
  for (const { counts, kills, proofs } of reports) {
    expect(kills.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(0)
    expect(proofs).toBe(1)
    expect(counts.acknowledged).toBeGreaterThan(0)
    expect(counts.checksAnswered).toBeGreaterThan(0)
  }
})

describe('the model of a chaos run', () => {
  let nowMs = 0
  const cacheMs = 5_000

  /** A book in which the given things happen to one seat of one user, a second apart. */
  function play(story: (told: Told) => void): readonly string[] {
    const ledger = createLedger(cacheMs, { now: () => nowMs, nowAt: () => nowMs })
    const person = ledger.addPerson('ada', ['phone'])
    const seat = person.seats[0] as Seat
    const later = (ms = 1_000) => {
      nowMs += ms
    }
    story({
      ledger,
      seat,
      later,
      signIn: () => {
        later()
        const deed = ledger.beginSignIn(seat, 'sign-in')
        later()
        return ledger.acknowledge(seat, deed, someValue(), 'client')
      },
      end: (of, outcome, isDisabling = false) => {
        later()
        const ending = ledger.beginEnding(of, 'end', isDisabling)
        later()
        ledger.conclude(ending, outcome)
        return ending
      },
      settle: (row) => ledger.settle([person], () => row),
    })
    return ledger.violations
  }

  interface Told {
    readonly ledger: Ledger
    readonly seat: Seat
    later(ms?: number): void
    signIn(): Token
    end(of: Parameters<Ledger['beginEnding']>[0], outcome: 'acknowledged' | 'unknown', isDisabling?: boolean): Ending
    settle(row: Row | undefined): void
  }
  type Ending = ReturnType<Ledger['beginEnding']>

  const someValue = () => keepSecret(writeTokenValue(generateId(), generateBytes(secretBytes)))
  const rowOf = ({ hash }: { hash: string }, isRevoked = false): Row => ({ hash, isRevoked, takenAt: nowMs })
  const somebodyElse = (takenAt: number): Row => ({ hash: 'ff', isRevoked: false, takenAt })
  const unanswered = ({ ledger, seat }: Told) => ledger.conclude(ledger.beginSignIn(seat, 'lost sign-in'), 'unknown')

  test.each<[string, (told: Told) => void]>([
    [
      'the last acknowledged token holds the seat',
      ({ signIn, settle }) => {
        signIn()
        settle(rowOf(signIn()))
      },
    ],
    [
      'either of two that overlapped holds the seat',
      ({ ledger, seat, later, settle }) => {
        const deeds = [ledger.beginSignIn(seat, 'one'), ledger.beginSignIn(seat, 'other')]
        later()
        const [first] = deeds.map((deed) => ledger.acknowledge(seat, deed, someValue(), 'client')) as [Token, Token]
        settle(rowOf(first))
      },
    ],
    [
      'one whose answer never came holds the seat',
      (told) => {
        told.signIn()
        unanswered(told)
        told.settle(somebodyElse(nowMs))
      },
    ],
    [
      'a token is refused after an unanswered sign-in',
      (told) => {
        const token = told.signIn()
        unanswered(told)
        told.ledger.refused(token, 'server')
      },
    ],
    [
      'a token is remembered for no longer than it may be',
      ({ ledger, signIn }) => {
        const token = signIn()
        signIn()
        ledger.accepted(token, nowMs + cacheMs, 'server')
      },
    ],
    [
      'a disabled user is denied',
      ({ ledger, seat, end }) => {
        end(seat.person, 'acknowledged', true)
        ledger.denied(seat, ledger.beginSignIn(seat, 'sign-in'))
      },
    ],
    [
      'an unanswered command has ended a token, or has not',
      ({ seat, signIn, end, settle }) => {
        const token = signIn()
        end(seat.person, 'unknown')
        settle(rowOf(token, true))
        end(seat.person, 'unknown')
        settle(rowOf(token, true))
      },
    ],
  ])('accepts that %s', (_what, story) => {
    expect(play(story)).toEqual([])
  })

  test.each<[string, RegExp, (told: Told) => void]>([
    [
      'an acknowledged token is lost',
      /has vanished/,
      ({ signIn, settle }) => {
        signIn()
        settle(undefined)
      },
    ],
    [
      'the token before comes back',
      /holds the superseded/,
      ({ signIn, settle }) => {
        const token = signIn()
        signIn()
        settle(rowOf(token))
      },
    ],
    [
      'the token of the proof before comes back',
      /nobody was given|has lost/,
      ({ signIn, settle }) => {
        const token = signIn()
        settle(rowOf(token))
        signIn()
        settle(rowOf(signIn()))
        settle(rowOf(token))
      },
    ],
    [
      'one unanswered before comes back',
      /has lost the token/,
      (told) => {
        unanswered(told)
        told.later()
        told.signIn()
        told.settle(somebodyElse(nowMs - 1_500))
      },
    ],
    [
      'a token nobody was given holds the seat',
      /nobody was given/,
      ({ signIn, settle }) => {
        signIn()
        settle(somebodyElse(nowMs))
      },
    ],
    [
      'a superseded token is accepted too long',
      /was accepted by/,
      ({ ledger, signIn }) => {
        const token = signIn()
        signIn()
        ledger.accepted(token, nowMs + cacheMs + 1, 'server')
      },
    ],
    [
      'a refused token is accepted again',
      /was accepted by/,
      (told) => {
        const token = told.signIn()
        unanswered(told)
        told.ledger.refused(token, 'server')
        told.ledger.accepted(token, nowMs + cacheMs + 1, 'other server')
      },
    ],
    [
      'a living token is refused',
      /nothing can have ended it/,
      ({ ledger, signIn }) => {
        signIn()
        ledger.refused(signIn(), 'server')
      },
    ],
    [
      'a right password is denied',
      /though the password was right/,
      ({ ledger, seat }) => {
        ledger.denied(seat, ledger.beginSignIn(seat, 'sign-in'))
      },
    ],
    [
      'a right password is denied after its user was enabled',
      /though the password was right/,
      (told) => {
        const disabling = told.end(told.seat.person, 'acknowledged', true)
        told.ledger.beginEnabling(disabling)
        told.later()
        told.ledger.concludeEnabling(disabling)
        told.later()
        told.ledger.denied(told.seat, told.ledger.beginSignIn(told.seat, 'sign-in'))
      },
    ],
    [
      'a disabled user gets a token',
      /given to a disabled user/,
      ({ seat, later, signIn, end }) => {
        end(seat.person, 'acknowledged', true)
        later()
        signIn()
      },
    ],
    [
      'a revoked token lives',
      /though its end was acknowledged/,
      ({ signIn, end, settle }) => {
        const token = signIn()
        end(token, 'acknowledged')
        settle(rowOf(token))
      },
    ],
    [
      'a command that was done has ended nothing',
      /though its end was acknowledged/,
      (told) => {
        const token = told.signIn()
        told.later()
        told.end(told.seat.person, 'acknowledged')
        told.settle(rowOf(token))
      },
    ],
    [
      'a token is revoked by nobody',
      /though nobody revoked it/,
      ({ signIn, settle }) => {
        settle(rowOf(signIn(), true))
      },
    ],
  ])('objects when %s', (_what, objection, story) => {
    expect(play(story)[0]).toMatch(objection)
  })

  test('tells the story of a token without its value', () => {
    let value = ''
    const [violation = ''] = play(({ ledger, signIn }) => {
      const token = signIn()
      value = token.value
      ledger.refused(token, 'server 1')
    })
    expect(violation).toContain("token of #1 (ada 'phone') was refused by server 1")
    expect(violation).toContain('#1 sign-in, sent')
    expect(violation).not.toContain(value)
  })
})
