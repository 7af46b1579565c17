/**
 * Blobs: content-addressed files of a package. A header lists the tensors and
 * the hash of every block of data, and the hash of the header is the blob's
 * id, so that any block can be checked on its own. Format: docs/package.md.
 */
export { BLOCK_BYTES, FIXED_BYTES, HASH_BYTES, MATRIX_ROLES, MAX_HEADER_BYTES, ROLE_ORDER } from './constants.ts'
export { buildBlob, buildDataBlob } from './build.ts'
export type { BlobSink, BuildOptions, BuiltBlob, SectionInput } from './build.ts'
export { blockByteLength, checkBlocks, isBlock, readAt, wrongBlocks } from './blocks.ts'
export { checkBlobId, readBlobHeader, readBlobHeaderBytes } from './file.ts'
export { blockCount, decodeBlobHeader, encodeBlobHeader, readFixedPart } from './header.ts'
export type { BlobHeader, BlobKind, Section, SectionPart } from './header.ts'
export { unitSections, withoutShared } from './unit-sections.ts'
export type { PackedTensor, UnitTensors } from './unit-sections.ts'
