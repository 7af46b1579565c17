/** Hidden states of positions of one session, as they were computed, for whoever has to be given them once more. */
export interface KeptRows {
  /** positions [0, length) are here */
  readonly length: number
  /** takes the rows from `position` on; what was there and behind it is forgotten. Keeps a reference */
  write (position: number, hidden: Float32Array): void
  read (position: number, rows: number): Float32Array
  cut (length: number): void
}

/** A row kept has 4 bytes an element. Rows that leave a gap, or go beyond `bytes`, are not kept, nor are those behind them. */
export function createKeptRows (hiddenSize: number, bytes: number): KeptRows {
  /** one after another, without a gap */
  const blocks: Array<{ position: number, hidden: Float32Array }> = []
  const limit = Math.floor(bytes / 4 / hiddenSize)
  let length = 0

  function cut (to: number): void {
    while (blocks.length > 0 && blocks[blocks.length - 1].position >= to) blocks.pop()
    length = Math.min(length, to)
  }

  /** of the block that holds a position */
  function find (position: number): number {
    let low = 0
    let high = blocks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (blocks[middle].position <= position) low = middle
      else high = middle - 1
    }
    return low
  }

  return {
    get length () {
      return length
    },
    write (position, hidden) {
      cut(position)
      const end = position + hidden.length / hiddenSize
      if (position > length || end > limit) return
      blocks.push({ position, hidden })
      length = end
    },
    read (position, rows) {
      if (position + rows > length) throw new RangeError(`positions ${position} to ${position + rows} are not kept, ${length} are`)
      const result = new Float32Array(rows * hiddenSize)
      for (let at = position, index = find(position); at < position + rows; index++) {
        const { position: first, hidden } = blocks[index]
        // a block may have been cut
        const end = Math.min(position + rows, index + 1 < blocks.length ? blocks[index + 1].position : length)
        result.set(hidden.subarray((at - first) * hiddenSize, (end - first) * hiddenSize), (at - position) * hiddenSize)
        at = end
      }
      return result
    },
    cut
  }
}
