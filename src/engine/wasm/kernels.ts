import { readFileSync } from 'node:fs'
import type { KernelVariant } from '../types.ts'
import type { ProductKind } from './matrix-layout.ts'

export type { KernelVariant } from '../types.ts'

/** Variants by the kind of work, both from one module: of two, either may be the faster for one token and the other for many. */
export interface KernelChoice {
  /** up to TILE_TOKENS - 1 tokens */
  vector: KernelVariant
  /** more tokens, which share what is unpacked of the weights */
  tile: KernelVariant
  /** products of codes of 8 bits, with any number of tokens */
  bytes: KernelVariant
  /** places of a matrix with codes of 4 bits that a product with one token reads at a time */
  streams: 1 | 4
  /** the same for codes of 8 bits */
  byteStreams: 1 | 4
}

export type Product = (w: number, a: number, at: number, sum: number, scaled: number, y: number, from: number, to: number, blocks: number, tokens: number, rows: number, streams: number, zeroShift: number, nibble: number) => void
type Dequantise = (w: number, y: number, row: number, blocks: number, zeroShift: number) => void

/** Exports of the compiled kernels; see src/engine/kernels for what each does. */
export interface Kernels {
  rmsNorm (x: number, w: number, y: number, n: number, eps: number): void
  quantise (x: number, codes: number, positive: number, negative: number, wide: number, scales: number, sums: number, scaled: number, blocks: number): void
  rotate (x: number, cos: number, sin: number, heads: number, headSize: number): void
  swiGlu (gate: number, up: number, n: number): void
  addInto (h: number, y: number, n: number): void
  isFinite (x: number, n: number): number
  largestOfSixteen (x: number, n: number, maxima: number): number
  expSum (x: number, n: number, max: number): number
  storeKeyValue (k: number, v: number, keys: number, values: number, slot: number, headSize: number, block: number): void
  prepareQueries (q: number, heads: number, headSize: number, block: number, scale: number, queries: number): void
  scoreTiles (queries: number, heads: number, table: number, offset: number, fromTile: number, toTile: number, first: number, position: number, headSize: number, block: number, scores: number, scoreBytes: number): void
  exponentials (queries: number, head: number, headSize: number, firstTile: number, lastTile: number, scores: number, scoreBytes: number): void
  combineValues (queries: number, heads: number, table: number, offset: number, first: number, position: number, headSize: number, block: number, from: number, to: number, scores: number, scoreBytes: number, scratch: number, out: number): void
  quantiseRanks (z: number, codes: number, scales: number, blocks: number, tokens: number, stride: number): void
  addLowRank (w: number, codes: number, scales: number, y: number, from: number, to: number, blocks: number, tokens: number, rows: number, stride: number): void
  barrier (at: number, threads: number, spins: number): void
  arrive (at: number, threads: number): number
  awaitAll (at: number, generation: number, spins: number): void
}

/** A module with relaxed SIMD in one function: `i32x4.relaxed_dot_i8x16_i7x16_add_s` of three zero registers. */
const RELAXED_PROBE = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0,
  1, 5, 1, 96, 0, 1, 123,
  3, 2, 1, 0,
  10, 19, 1, 17, 0, 65, 0, 253, 15, 65, 0, 253, 15, 65, 0, 253, 15, 253, 147, 2, 11
)

/** Variants that this JavaScript engine can run, the likely fastest first. */
export function availableVariants (): KernelVariant[] {
  return WebAssembly.validate(RELAXED_PROBE) ? ['relaxed-i16', 'relaxed-i32', 'plain'] : ['plain']
}

/** The compiled module that holds a variant. */
export function readKernels (variant: KernelVariant): Uint8Array {
  const name = variant === 'plain' ? 'plain' : 'relaxed'
  return readFileSync(new URL(`../../../dist/kernels/${name}.wasm`, import.meta.url))
}

/** Compiles the module that holds a variant. */
export function compileKernels (variant: KernelVariant, bytes = readKernels(variant)): WebAssembly.Module {
  return new WebAssembly.Module(Uint8Array.from(bytes))
}

/** Kernels bound to one memory. They hold no state of their own. */
export function instantiateKernels (module: WebAssembly.Module, memory: WebAssembly.Memory): Kernels & Record<string, unknown> {
  const instance = new WebAssembly.Instance(module, { env: { memory } })
  return instance.exports as unknown as Kernels & Record<string, unknown>
}

/** The products of all kinds of matrices, with one variant's instructions for codes of 4 bits and another's for those of 8. */
export function productsOf (kernels: Record<string, unknown>, variant: KernelVariant, bytes: KernelVariant): Record<ProductKind, Product> {
  const product = (kind: ProductKind, variant: KernelVariant): Product => kernels[kind + variant.replace('relaxed-', '')] as Product
  return {
    symmetric4: product('symmetric4', variant),
    affine4: product('affine4', variant),
    symmetric8: product('symmetric8', bytes),
    affine8: product('affine8', bytes)
  }
}

/** Products of codes of 8 bits with dot products of bytes take activations by their sign; all others take them with 16 bits. */
export function takesSigns (bytes: KernelVariant): boolean {
  return bytes === 'relaxed-i32'
}

/** Dequantises a row of a kind of matrix. */
export function dequantiseFor (kernels: Record<string, unknown>, kind: ProductKind): Dequantise {
  return kernels[`dequantise${kind[0].toUpperCase()}${kind.slice(1)}`] as Dequantise
}
