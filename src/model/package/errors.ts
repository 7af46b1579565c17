/** Failures of packages besides those of files and manifests (../errors.ts). */
import type { UnitName } from '../types.ts'

/** The package is a part of a model, and this unit is not in it. */
export class UnitMissingError extends Error {
  override name = 'UnitMissingError'
  readonly code = 'ERR_UNIT_MISSING'
  readonly retryable = false
  readonly directory: string
  readonly unit: UnitName

  constructor (directory: string, unit: UnitName) {
    super(`${directory}: ${unit} is not here; fetch it from a peer that has it, or pack the whole model`)
    this.directory = directory
    this.unit = unit
  }
}

/** What is to be written cannot be a unit of this model, or the directory is another model's. */
export class PackageWriteError extends Error {
  override name = 'PackageWriteError'
  readonly code = 'ERR_PACKAGE_WRITE'
  readonly retryable = false
  readonly directory: string

  constructor (directory: string, reason: string, options?: { cause?: unknown }) {
    super(`${directory}: ${reason}`, options)
    this.directory = directory
  }
}
