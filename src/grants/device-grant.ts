import { type Client, refuseClient } from '../clients/authenticate-client.ts'
import { OAuthError } from '../errors.ts'
import { generateBytes } from '../secrets.ts'
import { issueToken } from '../tokens/issue-token.ts'
import { signedSecretBytes, signTokenValue } from '../tokens/signed-value.ts'
import { noteLifetime } from '../tokens/signing-keys.ts'
import type { IssuedToken } from '../tokens/token.ts'
import { authenticateDevice, type SignedTime } from '../users/authenticate-device.ts'
import type { GrantTools } from './grant-tools.ts'

/** A time that a device has signed. */
export interface DeviceRequest extends SignedTime {
  readonly grant: 'device signature'
}

/**
 * The signature is checked and its time used up, then the device's one seat is taken by a token that is signed itself.
 * Throws OAuthError `invalid_grant`, `invalid_client` or `temporarily_unavailable`.
 */
export async function grantDevice(tools: GrantTools, client: Client, request: DeviceRequest): Promise<IssuedToken> {
  const { query, signing, lifetimeSeconds, mostSeats } = tools
  if (signing === null) throw new Error('devices need an encryption key')
  const key = await signing.findSigningKey() // before the time is used up
  const device = await authenticateDevice(query, signing.encryptionKey, request)
  const secret = generateBytes(signedSecretBytes)
  const subject = {
    userId: device.userId,
    credentialVersion: device.credentialVersion,
    clientId: client.id,
    clientVersion: client.credentialVersion,
    device: '',
    lifetimeSeconds,
    mostSeats,
  }
  const issue = await issueToken(query, subject, secret)
  if ('changed' in issue) throw refuseChanged(issue.changed, client)
  await noteLifetime(query, key, issue.seat.lifetimeSeconds)
  return { ...issue.seat, value: await signTokenValue(key, issue.seat, secret) }
}

/** The time is used up, so only a newer one can tell whether a changed device is still let in. */
function refuseChanged(changed: 'user' | 'client', { id: clientId }: Client): OAuthError {
  if (changed === 'client') return refuseClient('client changed during the sign-in', { clientId })
  return new OAuthError('temporarily_unavailable', 'The device is being changed. Try again shortly.', {
    reason: 'device changed during the sign-in',
    retryAfterSeconds: 1,
  })
}
