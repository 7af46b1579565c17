/** Products of large float matrices on the calling thread; worker threads call them. */
export { matrixProduct } from './matrix-product.ts'
export type { DenseMatrix, ProductOptions } from './matrix-product.ts'
export { createFloatKernels, MAX_PAGES, PAGE_BYTES, PANEL_COLUMNS_32, PANEL_COLUMNS_64, PANEL_ROWS, roundUp } from './float-kernels.ts'
export type { FloatKernels } from './float-kernels.ts'
