import { ModelFileError } from '../errors.ts'
import type { StoredTensor } from './stored-tensor.ts'

/**
 * Sorts tensors of one file by offset and refuses two that share bytes.
 *
 * @throws ModelFileError
 */
export function checkNoOverlap (tensors: Iterable<StoredTensor>): StoredTensor[] {
  const sorted = [...tensors].sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength)
  for (let i = 1; i < sorted.length; i++) {
    const before = sorted[i - 1]
    const tensor = sorted[i]
    if (before.offset + before.byteLength > tensor.offset) {
      throw new ModelFileError(tensor.path, `tensor "${tensor.name}".offset`, `overlaps tensor "${before.name}"`)
    }
  }
  return sorted
}
