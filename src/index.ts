export { type NewClient, type RegisteredClient, registerClient } from './clients/register-client.ts'
export type { Database, Query } from './database/database.ts'
export { openEmbedded } from './database/embedded/embedded.ts'
export { migrate } from './database/migrate.ts'
export { openDatabase } from './database/postgres.ts'
export { device } from './dialects/device.ts'
export type { Dialect } from './dialects/dialect.ts'
export { envelope, envelopeWithDebug } from './dialects/envelope.ts'
export { webapi } from './dialects/webapi.ts'
export { webapiParity } from './dialects/webapi-parity.ts'
export { webapiSession } from './dialects/webapi-session.ts'
export { OAuthError, type OAuthErrorCode } from './errors.ts'
export { createEvents, type Emit, type Event, type EventReader, type Events } from './events.ts'
export {
  type AddedClient,
  addClient,
  disableClient,
  enableClient,
  removeClient,
  rotateClient,
} from './operations/clients.ts'
export { type AddedDevice, addDevice, disableDevice, enableDevice } from './operations/devices.ts'
export { rotateSigningKey } from './operations/keys.ts'
export { listClients, listDevices, listTokens, listUsers, type Pages } from './operations/lists.ts'
export type { EncryptingOperator, HashingOperator, Operator } from './operations/operator.ts'
export { revokeTokens } from './operations/tokens.ts'
export {
  addUser,
  disableUser,
  enableUser,
  removeUser,
  setPassword,
  setRole,
  type UserWithPassword,
} from './operations/users.ts'
export { createPasswords, defaultPasswordOptions, type PasswordOptions, type Passwords } from './passwords/password.ts'
export { applyPasswordPolicy } from './passwords/password-policy.ts'
export { type TokenServerOptions, tokenServer } from './token-server.ts'
export { type FoundToken, findToken } from './tokens/find-token.ts'
export type { ListedToken } from './tokens/list-tokens.ts'
export { endedTokenBoundMs } from './tokens/stall-watch.ts'
export type { IssuedToken, Token, TokenEnd } from './tokens/token.ts'
export { createTokenCache, type TokenCache, type TokenCacheOptions } from './tokens/token-cache.ts'
export { type Device, type NewDevice, registerDevice } from './users/register-device.ts'
export { type NewUser, registerUser, type User } from './users/register-user.ts'
export type { Fields } from './wire/fields.ts'
export { readForm } from './wire/read-form.ts'
export type { WireReply } from './wire/wire-reply.ts'
export type { WireRequest } from './wire/wire-request.ts'
