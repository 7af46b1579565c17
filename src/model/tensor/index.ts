/**
 * Tensors of model files: sizes of the element types, exact dequantisation,
 * reading by offset, canonical blocks of profile `exact-1`. A door of its own,
 * beside that of src/model: compute threads load weights and should not have
 * to load tokenizers and the hub's library as well.
 */
export { ELEMENT_TYPES, rowsAndColumns, tensorByteLength } from './element-types.ts'
export { dequantise } from './dequantise.ts'
export { encodeBlocks } from './encode.ts'
export type { EncodeBlocksOptions } from './encode.ts'
export { halfTable, nearestHalf, smallestHalfAtLeast } from './half.ts'
export { decodeLeftFactor } from './left-factor.ts'
export type { LeftFactorBlocks } from './left-factor.ts'
export { packedMinimum, packedScale } from './k-quants.ts'
export { readRange, readTensor, readTensorBytes, readTensorRows } from './read.ts'
export { toTensorSource } from './stored-tensor.ts'
export type { StoredTensor } from './stored-tensor.ts'
export { checkNoOverlap } from './overlap.ts'
export { fileByteSource, memoryByteSource } from './byte-source.ts'
export type { ByteSource } from './byte-source.ts'
export { decodeBlocks, isWeightType, weightFormat } from './weight-blocks.ts'
export type { WeightBlocks, WeightFormat, WeightType } from './weight-blocks.ts'
