/** Names and numbers of package directories, each with its reason. */
import type { CompressionMode, TensorType } from '../types.ts'

/** The manifest in canonical encoding; its SHA-256 is the modelId. */
export const MANIFEST_FILE = 'manifest.json'

/** Name and sampling defaults: for people and clients, no part of the model's identity. */
export const ABOUT_FILE = 'about.json'

/** Blobs, each named by its id. */
export const BLOB_FOLDER = 'blobs'

/** Manifests of other ranks over the same blobs, each named by its modelId. */
export const DERIVED_FOLDER = 'manifests'

/** Files that have not got their name yet. */
export const INCOMING_FOLDER = 'incoming'

/** A temporary file as old as this was left by a process that died: the largest unit is written in minutes. */
export const STALE_MILLISECONDS = 24 * 3600_000

/** `about.json` has a name and a few numbers. */
export const MAX_ABOUT_BYTES = 64 * 1024

export const MAX_NAME_LENGTH = 256

/** Element types of factors (docs/numerics.md, section 1). A left factor's blocks go along the rank, so it serves as nothing else. */
export const FACTOR_TYPES: Readonly<Record<'left' | 'right', TensorType>> = { left: 'Q8_8', right: 'Q8_0' }

/** Element types that the base of a matrix may have in each mode. */
export const BASE_TYPES: Readonly<Record<CompressionMode, readonly TensorType[]>> = {
  q8: ['Q8_0'],
  q5: ['Q5_0', 'Q5_1', 'Q5_K'],
  q4: ['Q4_0', 'Q4_1', 'Q4_K'],
  q3: ['Q3_32'],
  'q8+svd': ['Q8_0'],
  'q5+svd': ['Q5_0', 'Q5_1', 'Q5_K'],
  'q4+svd': ['Q4_0', 'Q4_1', 'Q4_K'],
  'q3+svd': ['Q3_32'],
  svd: ['ZERO']
}
