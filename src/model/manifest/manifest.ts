import { createHash } from 'node:crypto'
import { isUtf8 } from 'node:buffer'
import { checkArchitecture, checkKeys } from '../config/index.ts'
import type { Fail } from '../config/index.ts'
import { CONVERSION, MAX_MANIFEST_BYTES, PROFILE } from '../constants.ts'
import { ManifestError } from '../errors.ts'
import { isJsonObject } from '../json-file.ts'
import type { Architecture, Compression, Manifest } from '../types.ts'
import { canonicalJson } from './canonical-json.ts'
import { checkCompression } from './check-compression.ts'

const SHA256 = /^[0-9a-f]{64}$/

/** Printable, so that it can stand in a message. */
const VERSION_STRING = /^[\x21-\x7e]{1,64}$/

/** A manifest by the rules of this version of the software. */
export function createManifest (architecture: Architecture, tokenizer: string, units: string[], compression: Compression | null = null): Manifest {
  return checkManifest({ version: 2, architecture, profile: PROFILE, conversion: CONVERSION, tokenizer, units, compression })
}

/**
 * The canonical encoding: JSON in UTF-8, keys sorted, no spaces.
 *
 * @throws ManifestError where the manifest breaks a rule
 */
export function encodeManifest (manifest: Manifest): Uint8Array {
  const bytes = new TextEncoder().encode(canonicalJson(checkManifest(manifest)))
  if (bytes.length > MAX_MANIFEST_BYTES) throw new ManifestError('encoding', `${bytes.length} bytes are more than the limit of ${MAX_MANIFEST_BYTES}`)
  return bytes
}

/**
 * Decodes and checks a manifest that may come from anywhere. Only the
 * canonical encoding is accepted, so that a manifest has one id.
 *
 * @throws ManifestError
 */
export function decodeManifest (bytes: Uint8Array): Manifest {
  if (bytes.length > MAX_MANIFEST_BYTES) throw new ManifestError('encoding', `${bytes.length} bytes are more than the limit of ${MAX_MANIFEST_BYTES}`)
  if (!isUtf8(bytes)) throw new ManifestError('encoding', 'is not UTF-8')
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new ManifestError('encoding', `is not JSON: ${(cause as Error).message.slice(0, 200)}`, { cause })
  }
  const manifest = checkManifest(value)
  if (canonicalJson(manifest) !== text) throw new ManifestError('encoding', 'is not canonical')
  return manifest
}

/** SHA-256, lower-case hex, of the canonical encoding. */
export function manifestId (manifest: Manifest): string {
  return createHash('sha256').update(encodeManifest(manifest)).digest('hex')
}

function checkManifest (value: unknown): Manifest {
  const fail: Fail = (field, reason) => { throw new ManifestError(field, reason) }
  if (!isJsonObject(value)) return fail('manifest', 'is not an object')
  checkKeys(value, ['version', 'architecture', 'profile', 'conversion', 'tokenizer', 'units', 'compression'], '', fail)
  if (value.version !== 2) fail('version', 'is not 2')
  if (value.profile !== PROFILE) fail('profile', `is not ${PROFILE}`)
  if (typeof value.conversion !== 'string' || !VERSION_STRING.test(value.conversion)) fail('conversion', 'is not a version')
  if (typeof value.tokenizer !== 'string' || !SHA256.test(value.tokenizer)) fail('tokenizer', 'is not a SHA-256 in hexadecimal')
  const architecture = checkArchitecture(value.architecture, (field, reason) => fail(`architecture.${field}`, reason))
  const { units } = value
  if (!Array.isArray(units) || units.length !== architecture.layerCount + 2) return fail('units', `is not a list of ${architecture.layerCount + 2}`)
  units.forEach((unit, i) => {
    if (typeof unit !== 'string' || !SHA256.test(unit)) fail(`units[${i}]`, 'is not a SHA-256 in hexadecimal')
  })
  if (value.compression !== null) checkCompression(value.compression, architecture.layerCount, (field, reason) => fail(`compression.${field}`, reason))
  return value as unknown as Manifest
}
