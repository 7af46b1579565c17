/** Bytes of an element of each type that the format knows; the engine takes F32, F16 and BF16. */
export const ELEMENT_BYTES: ReadonlyMap<string, number> = new Map([
  ['BOOL', 1], ['U8', 1], ['I8', 1], ['F8_E5M2', 1], ['F8_E4M3', 1], ['F8_E8M0', 1],
  ['I16', 2], ['U16', 2], ['F16', 2], ['BF16', 2],
  ['I32', 4], ['U32', 4], ['F32', 4],
  ['I64', 8], ['U64', 8], ['F64', 8], ['C64', 8]
])

/** Dimensions of a tensor; the format has no limit, PyTorch uses at most eight or so. */
export const MAX_SAFETENSORS_DIMENSIONS = 16

/** Name of a checkpoint in one file, and of the index of one in several. */
export const SINGLE_FILE = 'model.safetensors'
export const INDEX_FILE = 'model.safetensors.index.json'

/** Files of one checkpoint; the largest in use have a few hundred. */
export const MAX_SHARDS = 2048
