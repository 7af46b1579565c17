import { createFloatKernels, MAX_PAGES, PAGE_BYTES, PANEL_COLUMNS_64, PANEL_ROWS, roundUp } from './float-kernels.ts'
import type { FloatKernels } from './float-kernels.ts'

/** Row-major float64 matrix. */
export interface DenseMatrix {
  rows: number
  columns: number
  /** rows × columns */
  data: Float64Array
}

export interface ProductOptions {
  /** use aᵀ in place of a */
  transposeA?: boolean
  /** use bᵀ in place of b */
  transposeB?: boolean
}

/** Inner dimension of a pass: a panel of the second operand (16 KiB) stays in the first-level cache. */
const INNER = 512

let workspace: { memory: WebAssembly.Memory, kernels: FloatKernels } | undefined

/**
 * a·b in float64 on the calling thread, with SIMD; about 2·rows·inner·columns ÷ 15·10⁹ seconds. Sums run over ascending
 * inner indices in stretches of 512, so results are the same on every machine. The workspace is kept for the next call.
 *
 * @throws RangeError where the inner sizes differ, or the operands do not fit into 4 GiB
 */
export function matrixProduct (a: DenseMatrix, b: DenseMatrix, options: ProductOptions = {}): DenseMatrix {
  const [rows, inner] = options.transposeA === true ? [a.columns, a.rows] : [a.rows, a.columns]
  const [innerB, columns] = options.transposeB === true ? [b.columns, b.rows] : [b.rows, b.columns]
  if (inner !== innerB) throw new RangeError(`product of ${rows} × ${inner} and ${innerB} × ${columns}`)
  const paddedRows = roundUp(rows, PANEL_ROWS)
  const paddedColumns = roundUp(columns, PANEL_COLUMNS_64)
  const depth = Math.min(INNER, inner)
  const atB = paddedRows * depth
  const atC = atB + paddedColumns * depth
  const { kernels, values } = reserve(atC + paddedRows * paddedColumns)
  values.fill(0, atC, atC + paddedRows * paddedColumns)
  for (let from = 0; from < inner; from += depth) {
    const length = Math.min(depth, inner - from)
    pack(values, 0, a, options.transposeA === true, rows, from, length, PANEL_ROWS)
    pack(values, atB, b, options.transposeB !== true, columns, from, length, PANEL_COLUMNS_64)
    kernels.product64(0, atB * 8, atC * 8, paddedRows, paddedColumns, length, paddedColumns)
  }
  const data = new Float64Array(rows * columns)
  for (let row = 0; row < rows; row++) {
    const at = atC + row * paddedColumns
    data.set(values.subarray(at, at + columns), row * columns)
  }
  return { rows, columns, data }
}

function reserve (count: number): { kernels: FloatKernels, values: Float64Array } {
  const pages = Math.ceil(count * 8 / PAGE_BYTES)
  if (pages > MAX_PAGES) throw new RangeError(`a product that takes ${count * 8} bytes of workspace`)
  if (workspace === undefined) {
    const memory = new WebAssembly.Memory({ initial: pages, maximum: MAX_PAGES, shared: true })
    workspace = { memory, kernels: createFloatKernels(memory) }
  }
  const { memory, kernels } = workspace
  const missing = pages - memory.buffer.byteLength / PAGE_BYTES
  if (missing > 0) memory.grow(missing)
  return { kernels, values: new Float64Array(memory.buffer) }
}

/** Panels of `width` vectors of a matrix (its rows, or its columns where `ofColumns`), elements [from, from + length) of each. */
function pack (target: Float64Array, at: number, { columns, data }: DenseMatrix, ofColumns: boolean, vectors: number, from: number, length: number, width: number): void {
  for (let panel = 0; panel < vectors; panel += width) {
    const filled = Math.min(width, vectors - panel)
    for (let r = 0; r < width; r++) {
      let to = at + panel * length + r
      if (r >= filled) {
        for (let k = 0; k < length; k++, to += width) target[to] = 0
      } else if (ofColumns) {
        for (let k = 0, source = from * columns + panel + r; k < length; k++, to += width, source += columns) target[to] = data[source]
      } else {
        for (let k = 0, source = (panel + r) * columns + from; k < length; k++, to += width) target[to] = data[source + k]
      }
    }
  }
}
