/** Numbers of the blob format (docs/package.md), each with its reason. */
import type { TensorRole, TensorType } from '../types.ts'

/** First bytes of a blob: `EFEDBLOB`. */
export const MAGIC = Uint8Array.from('EFEDBLOB', character => character.charCodeAt(0))

export const FORMAT_VERSION = 1

/** Fixed part of the header. */
export const FIXED_BYTES = 64

/** One entry of the section table. */
export const SECTION_BYTES = 64

/** A SHA-256. */
export const HASH_BYTES = 32

/**
 * Bytes of data under one hash: small enough that a wrong byte costs little to
 * fetch again, large enough that the list of hashes is 1/8192 of the data.
 */
export const BLOCK_BYTES = 256 * 1024

/** Sections start at multiples of this, a cache line, so that a mapped file can be read in place. */
export const SECTION_ALIGNMENT = 64

/** A unit has at most 16 tensors, of which 9 are matrices with two factors each. */
export const MAX_SECTIONS = 64

/** A unit must fit into the 4 GiB of a WebAssembly memory as 8-bit weights; in 32-bit floats it is at most four times as long. */
export const MAX_DATA_BYTES = 16 * 1024 ** 3

export const MAX_BLOCKS = MAX_DATA_BYTES / BLOCK_BYTES

/** 2 MiB of hashes and the section table. */
export const MAX_HEADER_BYTES = FIXED_BYTES + MAX_SECTIONS * SECTION_BYTES + MAX_BLOCKS * HASH_BYTES

/** Order in which the tensors of a unit lie in its blob; a role's code is its place, counted from 1. */
export const ROLE_ORDER: readonly TensorRole[] = [
  'embedding',
  'attentionNorm', 'query', 'key', 'value', 'attentionOutput',
  'queryBias', 'keyBias', 'valueBias', 'attentionOutputBias',
  'queryNorm', 'keyNorm',
  'feedForwardNorm', 'gate', 'up', 'down',
  'finalNorm', 'projection'
]

/** Tensors that are matrices; the others are vectors of floats. */
export const MATRIX_ROLES: ReadonlySet<TensorRole> = new Set([
  'embedding', 'query', 'key', 'value', 'attentionOutput', 'gate', 'up', 'down', 'projection'
])

/** Codes of element types: those of ggml where it has the type, own ones from 1000 up. */
export const STORAGE_CODES: Readonly<Record<TensorType, number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q5_0: 6,
  Q5_1: 7,
  Q8_0: 8,
  Q4_K: 12,
  Q5_K: 13,
  Q6_K: 14,
  BF16: 30,
  Q3_32: 1000,
  Q8_8: 1001,
  ZERO: 1002
}

/** Element types of vectors. */
export const VECTOR_TYPES: readonly TensorType[] = ['F32', 'F16', 'BF16']
