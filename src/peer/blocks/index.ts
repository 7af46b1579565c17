/**
 * Sharing packages: manifests and blocks of blobs by their hashes, between
 * peers that need not trust each other (docs/protocol.md, Blocks).
 */
export { BlocksUnavailableError, WrongBytesError } from './errors.ts'
export { fetchManifest, fetchUnits } from './fetch-units.ts'
export type { FetchedUnits, FetchEvent, FetchInit, FetchUnitsInit } from './fetch-units.ts'
