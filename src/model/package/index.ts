/**
 * Packages: a model as a directory of content-addressed files, one for each
 * unit, under one manifest. A package may be a part of a model. Format:
 * docs/package.md.
 */
export { createBlockStore } from './block-store.ts'
export type { BlockStore } from './block-store.ts'
export { describePackage } from './describe-package.ts'
export type { DescribedTensor, DescribedUnit, PackageDescription } from './describe-package.ts'
export { deriveManifest, writeDerived } from './derive.ts'
export type { ChooseRank } from './derive.ts'
export { PackageWriteError, UnitMissingError } from './errors.ts'
export { checkTokenizerHeader, checkUnitHeader, describeUnit, needsEmbedding, writeManifest } from './fetched-part.ts'
export { packModel } from './pack-model.ts'
export type { PackOptions } from './pack-model.ts'
export { hasBlob, openPartialBlob, readPartialHeader, readStoredHeader } from './partial-blob.ts'
export type { PartialBlob } from './partial-blob.ts'
export { isPackage, readPackage } from './read-package.ts'
export type { Package } from './read-package.ts'
export { verifyPackage } from './verify.ts'
export type { PackageReport, VerifiedFile, VerifyOptions } from './verify.ts'
export { createPackageWriter } from './writer.ts'
export type { AddUnitOptions, PackageWriter, PackageWriterInit } from './writer.ts'
export type { About } from './about.ts'
