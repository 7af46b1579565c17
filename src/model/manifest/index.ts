/** Manifests: canonical encoding, model ids, hashes of units and their cache. */
export { canonicalJson } from './canonical-json.ts'
export { createManifest, decodeManifest, encodeManifest, manifestId } from './manifest.ts'
export { buildUnitBlob, hashUnits, sharedSections, unitByteLength } from './hash-units.ts'
export { CACHE_SUFFIX, cachedHashes, cachedUnitHashes } from './unit-hash-cache.ts'
