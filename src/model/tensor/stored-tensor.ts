import { UnsupportedModelError } from '../errors.ts'
import type { TensorSource, TensorType } from '../types.ts'
import { ELEMENT_TYPES } from './element-types.ts'

/** A tensor as a file's header describes it, checked against the file's size. */
export interface StoredTensor {
  name: string
  path: string
  /** the file's name of the element type, not necessarily one that the engine takes */
  type: string
  /** slowest dimension first */
  shape: number[]
  /** from the start of the file */
  offset: number
  byteLength: number
}

/**
 * A tensor that the engine can read.
 *
 * @throws UnsupportedModelError for other element types
 */
export function toTensorSource (tensor: StoredTensor): TensorSource {
  if (!Object.hasOwn(ELEMENT_TYPES, tensor.type)) {
    throw new UnsupportedModelError(tensor.path, `tensor "${tensor.name}"`, `element type ${tensor.type} is not supported`)
  }
  const { name, path, offset, byteLength, shape } = tensor
  return { name, path, offset, byteLength, type: tensor.type as TensorType, shape }
}
