/** A dense matrix in float64, row after row; `data` may lie in shared memory, then worker threads get no copy. */
export interface Matrix {
  readonly rows: number
  readonly columns: number
  /** rows × columns values */
  readonly data: Float64Array
}

/** W ≈ left · right. Columns of `left` and rows of `right` go together, the most important first: a prefix is the smaller rank. */
export interface Factors {
  /** rows × rank, orthonormal columns */
  left: Matrix
  /** rank × columns */
  right: Matrix
  /** the `rank` largest singular values of what was minimised (W·G^½, or W where plain), falling */
  spectrum: Float64Array
  /** sum of squares of all singular values, those beyond `rank` included: the squared error at rank 0 */
  energy: number
}

/** U·S·Vᵀ cut off at a rank. */
export interface TruncatedSvd {
  /** rows × rank, orthonormal columns */
  left: Matrix
  /** `rank` singular values, falling */
  values: Float64Array
  /** rank × columns, orthonormal rows */
  right: Matrix
  /** squared Frobenius norm of the whole matrix */
  energy: number
}

/** Share of a calculation that is done, 0 to 1; rises, and ends with 1. */
export type OnProgress = (share: number) => void

export interface ProgressOptions {
  onProgress?: OnProgress
}

export interface FactorOptions extends ProgressOptions {
  /** columns of `left`; 1 to min(rows, columns) */
  rank: number
}

export interface RandomisedOptions extends FactorOptions {
  /** of the Gaussian test matrix; equal seeds give equal bits */
  seed: number
  /** extra columns of the test matrix: `p` of Halko et al.; by default half as many as the rank, and 10 at least */
  oversampling?: number
  /** products with A·Aᵀ after the first one, each made orthonormal: `q` of Halko et al.; at least 1 */
  powerIterations?: number
}

/** One way to store a matrix. */
export interface Candidate {
  /** for instance `q4` or `q4+svd` */
  mode: string
  /** 0 where there are no factors */
  rank: number
  /** stored bytes, scales included */
  bytes: number
  /** cost that adds up over matrices: the squared weighted error, perhaps with a weight of the matrix */
  error: number
}

export interface MatrixCandidates<C extends Candidate = Candidate> {
  name: string
  candidates: C[]
}

export interface Allocation<C extends Candidate = Candidate> {
  /** one a matrix, in the order given */
  choices: Array<{ name: string, candidate: C }>
  /** sum over the choices, never above the budget */
  bytes: number
  /** sum over the choices */
  error: number
  /** no choice within the budget has a smaller error than this (Lagrangian bound) */
  lowerBound: number
}
