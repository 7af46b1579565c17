/**
 * Model files: readers of GGUF and safetensors, architectures, tokenizers,
 * manifests, and the conversion of weights to the canonical blocks of profile
 * `exact-1`. Readers parse headers and reserve nothing on a file's word;
 * tensor data is read only when asked for.
 */
export * from './types.ts'
export * from './errors.ts'
export { CONVERSION, PROFILE } from './constants.ts'
export {
  decodeBlocks, dequantise, ELEMENT_TYPES, readTensor, readTensorBytes, readTensorRows, rowsAndColumns, tensorByteLength,
  weightFormat
} from './tensor/index.ts'
export type { WeightBlocks, WeightFormat } from './tensor/index.ts'
export { decodeManifest, encodeManifest, manifestId } from './manifest/index.ts'
export {
  blockByteLength, blockCount, checkBlobId, decodeBlobHeader, isBlock, MAX_HEADER_BYTES as MAX_BLOB_HEADER_BYTES
} from './blob/index.ts'
export type { BlobHeader, PackedTensor, Section, SectionPart, UnitTensors } from './blob/index.ts'
export * from './package/index.ts'
export { describeFile, openModel, openWeights } from './open/index.ts'
export type { FileDescription, ModelWeights, OpenModelOptions, OpenProgress, TensorDescription } from './open/index.ts'
export * from './tokenizer/index.ts'
export * from './pull/index.ts'
export { cacheDirectory, DATA_DIRECTORY_VARIABLE, dataDirectory } from './data-directory.ts'
