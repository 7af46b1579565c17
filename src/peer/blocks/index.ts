/**
 * Sharing packages: manifests and blocks of blobs by their hashes, between
 * peers that need not trust each other (docs/protocol.md, Blocks).
 */
export { BlocksUnavailableError, WrongBytesError } from './errors.ts'
export { fetchUnitSources } from './fetch-unit-sources.ts'
export type { FetchUnitSourcesInit } from './fetch-unit-sources.ts'
export { fetchManifest, fetchUnits } from './fetch-units.ts'
export type { FetchedUnits, FetchEvent, FetchInit, FetchUnitsInit } from './fetch-units.ts'
