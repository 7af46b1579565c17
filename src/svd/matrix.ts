import { InvalidProblemError } from './errors.ts'
import { matrixProduct } from './product/index.ts'
import type { Factors, Matrix, TruncatedSvd } from './types.ts'

/** @throws InvalidProblemError where sizes are not positive or the values are not rows × columns */
export function checkMatrix (field: string, { rows, columns, data }: Matrix): void {
  if (!(Number.isInteger(rows) && Number.isInteger(columns) && rows > 0 && columns > 0)) {
    throw new InvalidProblemError(field, `${rows} × ${columns} is not a size of a matrix`)
  }
  if (data.length !== rows * columns) throw new InvalidProblemError(field, `${data.length} values for ${rows} × ${columns}`)
}

/** @throws InvalidProblemError unless `gram` is square and as wide as `matrix` */
export function checkGram (matrix: Matrix, gram: Matrix): void {
  checkMatrix('gram', gram)
  if (gram.rows !== gram.columns || gram.rows !== matrix.columns) {
    throw new InvalidProblemError('gram', `${gram.rows} × ${gram.columns} for a matrix with ${matrix.columns} columns`)
  }
}

/** @throws InvalidProblemError unless 1 ≤ rank ≤ min(rows, columns) */
export function checkRank ({ rows, columns }: Matrix, rank: number): void {
  if (!Number.isInteger(rank) || rank < 1 || rank > Math.min(rows, columns)) {
    throw new InvalidProblemError('rank', `${rank} for a matrix of ${rows} × ${columns}`)
  }
}

/** a - b, of equal sizes. */
export function subtract (a: Matrix, b: Matrix): Matrix {
  checkMatrix('a', a)
  checkMatrix('b', b)
  if (a.rows !== b.rows || a.columns !== b.columns) {
    throw new InvalidProblemError('b', `${b.rows} × ${b.columns} to be taken from ${a.rows} × ${a.columns}`)
  }
  const data = new Float64Array(a.data.length)
  for (let i = 0; i < data.length; i++) data[i] = a.data[i] - b.data[i]
  return { rows: a.rows, columns: a.columns, data }
}

export function transpose ({ rows, columns, data }: Matrix): Matrix {
  const result = new Float64Array(rows * columns)
  for (let row = 0; row < rows; row++) {
    for (let column = 0, to = row; column < columns; column++, to += rows) result[to] = data[row * columns + column]
  }
  return { rows: columns, columns: rows, data: result }
}

/** The first rows of a matrix. A copy: a view would take the whole array along to another thread. */
export function firstRows ({ columns, data }: Matrix, rows: number): Matrix {
  return { rows, columns, data: data.slice(0, rows * columns) }
}

/** The first columns of a matrix. */
export function firstColumns ({ rows, columns, data }: Matrix, count: number): Matrix {
  const result = new Float64Array(rows * count)
  for (let row = 0; row < rows; row++) result.set(data.subarray(row * columns, row * columns + count), row * count)
  return { rows, columns: count, data: result }
}

/** left · right: rows × columns. */
export function lowRankProduct ({ left, right }: Pick<Factors, 'left' | 'right'>): Matrix {
  return matrixProduct(left, right)
}

/** U·S·Vᵀ. */
export function reconstruct ({ left, values, right }: Pick<TruncatedSvd, 'left' | 'values' | 'right'>): Matrix {
  const scaled = right.data.slice()
  for (let row = 0; row < right.rows; row++) {
    for (let i = row * right.columns; i < (row + 1) * right.columns; i++) scaled[i] *= values[row]
  }
  return matrixProduct(left, { ...right, data: scaled })
}

/** Sum of squares of all elements. */
export function squaredNorm ({ data }: Matrix): number {
  let sum = 0
  for (let i = 0; i < data.length; i++) sum += data[i] * data[i]
  return sum
}

/** Sum of the diagonal of a square matrix. */
export function trace ({ rows, data }: Matrix): number {
  let sum = 0
  for (let i = 0; i < rows; i++) sum += data[i * (rows + 1)]
  return sum
}
