/**
 * Packages: a model as a directory of content-addressed files, one for each
 * unit, under one manifest. A package may be a part of a model. Format:
 * docs/package.md.
 */
export { deriveManifest, writeDerived } from './derive.ts'
export type { ChooseRank } from './derive.ts'
export { PackageWriteError, UnitMissingError } from './errors.ts'
export { packModel } from './pack-model.ts'
export type { PackOptions } from './pack-model.ts'
export { blobsOfUnit, isPackage, readPackage } from './read-package.ts'
export type { Package } from './read-package.ts'
export { verifyPackage } from './verify.ts'
export type { PackageReport, VerifiedFile, VerifyOptions } from './verify.ts'
export { createPackageWriter } from './writer.ts'
export type { AddUnitOptions, PackageWriter, PackageWriterInit } from './writer.ts'
export type { About } from './about.ts'
