/** The largest eigenvalues of dense symmetric matrices and their vectors, as many as are wanted. */
export { topEigenpairs } from './top-eigenpairs.ts'
export type { Eigenpairs } from './top-eigenpairs.ts'
