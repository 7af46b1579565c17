import { readFileSync } from 'node:fs'

/** Exports of `dist/kernels/float-product.wasm`; src/engine/kernels/float-product.ts says what each does. Pointers are bytes. */
export interface FloatKernels {
  pack32 (source: number, rows: number, inner: number, rowStride: number, innerStride: number, width: number, target: number): void
  product32 (a: number, b: number, c: number, rows: number, columns: number, inner: number, stride: number): void
  product64 (a: number, b: number, c: number, rows: number, columns: number, inner: number, stride: number): void
  gram (a: number, b: number, g: number, size: number, inner: number, stride: number, thread: number, threads: number): void
  symmetricUpdate (a: number, stride: number, count: number, v: number, w: number, u: number, p: number): void
  gatedSilu (gate: number, up: number, count: number): void
  causalSoftmax (scores: number, rows: number, stride: number, window: number, scale: number): void
}

/** Rows of a panel of the first operand, of both element types. */
export const PANEL_ROWS = 4

/** Columns of a panel of a second operand of float32. */
export const PANEL_COLUMNS_32 = 8

/** Columns of a panel of a second operand of float64. */
export const PANEL_COLUMNS_64 = 4

/** Bytes of a page of WebAssembly memory. */
export const PAGE_BYTES = 65_536

/** wasm32 ends at 4 GiB. */
export const MAX_PAGES = 65_536

let compiled: WebAssembly.Module | undefined

/** Kernels bound to a shared memory. They hold no state of their own. */
export function createFloatKernels (memory: WebAssembly.Memory): FloatKernels {
  compiled ??= new WebAssembly.Module(readFileSync(new URL('../../../dist/kernels/float-product.wasm', import.meta.url)))
  return new WebAssembly.Instance(compiled, { env: { memory } }).exports as unknown as FloatKernels
}

/** `value` rounded up to a multiple of `unit`. */
export function roundUp (value: number, unit: number): number {
  return Math.ceil(value / unit) * unit
}
