import { InvalidProblemError } from './errors.ts'
import { checkMatrix } from './matrix.ts'
import type { Matrix } from './types.ts'

/**
 * (1 - amount)·G + amount·diag(G): a G from few tokens takes chance for
 * correlation, which a pull towards its diagonal mends (the linear shrinkage of
 * Ledoit and Wolf, 2004, with the diagonal as its target).
 *
 * @param amount 0 leaves G as it is, 1 leaves its diagonal
 */
export function shrinkGram (gram: Matrix, amount: number): Matrix {
  checkMatrix('gram', gram)
  if (gram.rows !== gram.columns) throw new InvalidProblemError('gram', `${gram.rows} × ${gram.columns} is not square`)
  if (!(amount >= 0 && amount <= 1)) throw new InvalidProblemError('amount', `${amount} is not within 0 to 1`)
  const data = new Float64Array(gram.data.length)
  for (let i = 0; i < data.length; i++) data[i] = gram.data[i] * (1 - amount)
  for (let i = 0; i < data.length; i += gram.rows + 1) data[i] = gram.data[i]
  return { ...gram, data }
}
