export { type AuthorizedFetchOptions, authorizedFetch } from './authorized-fetch.ts'
export { type TokenSource, TokenSourceError, type TokenSourceOptions, tokenSource } from './token-source.ts'
