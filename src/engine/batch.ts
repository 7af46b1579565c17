import { ContextLengthError, InvalidBatchError } from './errors.ts'
import type { Architecture, UnitRange } from '../model/index.ts'
import type { BatchItem } from './types.ts'

/** What the check of a batch needs to know of an engine. */
export interface BatchContext {
  architecture: Architecture
  contextLength: number
  /** positions a session holds; throws UnknownSessionError */
  lengthOf: (session: number) => number
  /** units it runs */
  rangeOf: (session: number) => UnitRange
}

/** A checked item: the units that its session runs, its number of rows, and the length of its session before and after it. */
export interface CheckedItem {
  item: BatchItem
  range: UnitRange
  rows: number
  before: number
  end: number
}

/**
 * Checks a whole batch before anything is computed or reserved; items of one
 * session may follow each other.
 *
 * @throws InvalidBatchError, ContextLengthError, and what `lengthOf` throws
 */
export function checkBatch (batch: BatchItem[], context: BatchContext): CheckedItem[] {
  const lengths = new Map<number, number>()
  return batch.map(item => {
    const before = lengths.get(item.session) ?? context.lengthOf(item.session)
    if (!Number.isSafeInteger(item.position) || item.position < 0 || item.position > before) {
      throw new InvalidBatchError('position', `${item.position} does not continue a session of ${before} positions`)
    }
    const range = context.rangeOf(item.session)
    const rows = countRows(item, range, context)
    checkOutputs(item, rows, context.architecture.vocabularySize)
    const end = item.position + rows
    if (end > context.contextLength) throw new ContextLengthError(end, context.contextLength)
    lengths.set(item.session, end)
    return { item, range, rows, before, end }
  })
}

function countRows (item: BatchItem, { from }: UnitRange, { architecture: { hiddenSize, vocabularySize } }: BatchContext): number {
  let rows: number
  if (from === 0) {
    if (item.tokens === undefined) throw new InvalidBatchError('tokens', 'are needed where the range starts at embed')
    rows = item.tokens.length
    for (const id of item.tokens) {
      if (id >= vocabularySize) throw new InvalidBatchError('tokens', `id ${id} is outside the vocabulary of ${vocabularySize}`)
    }
  } else {
    if (item.hidden === undefined) throw new InvalidBatchError('hidden', 'is needed where the range does not start at embed')
    rows = item.hidden.length / hiddenSize
    if (!Number.isInteger(rows)) throw new InvalidBatchError('hidden', `${item.hidden.length} values are not whole rows of ${hiddenSize}`)
  }
  if (rows === 0) throw new InvalidBatchError('rows', 'an item without rows')
  return rows
}

function checkOutputs ({ outputs = [] }: BatchItem, rows: number, vocabularySize: number): void {
  let last = -1
  for (const { row, output } of outputs) {
    if (!Number.isInteger(row) || row <= last || row >= rows) {
      throw new InvalidBatchError('outputs', `row ${row} is not ascending within ${rows} rows`)
    }
    if (output.kind === 'top' && !(Number.isInteger(output.count) && output.count >= 1 && output.count <= vocabularySize)) {
      throw new InvalidBatchError('outputs', `count ${output.count} is not between 1 and ${vocabularySize}`)
    }
    if (output.kind === 'score' && !output.ids.every(id => Number.isInteger(id) && id >= 0 && id < vocabularySize)) {
      throw new InvalidBatchError('outputs', `an id of row ${row} is outside the vocabulary of ${vocabularySize}`)
    }
    last = row
  }
}
