export { type EmbeddedConnection, type EmbeddedPostgres, type StartOptions, startEmbedded } from './start-embedded.ts'
