/**
 * Engines that run a contiguous range of units of a model under numerics
 * profile `exact-1` (docs/numerics.md): the real engine (WebAssembly kernels in
 * threads over shared memory), the scalar oracle that says what its bits must
 * be, and a float32 reference that says whether the model is right. The last
 * two never serve.
 */
export * from './types.ts'
export * from './errors.ts'
export { cos64, exp64, log64, pow64, sin64 } from './exact-math.ts'
export { fillRopeRow, frequencies as ropeFrequencies } from './rope-table.ts'
export { keyValueBytesPerPosition } from './key-values.ts'
export { unitName } from './unit-name.ts'
export { isWithin, sameRange } from './unit-range.ts'
export { createWasmEngine as createEngine } from './wasm/engine.ts'
export { availableVariants } from './wasm/kernels.ts'
export { memoryNeeds } from './wasm/memory-needs.ts'
export type { MemoryNeeds } from './wasm/memory-needs.ts'
export { DEFAULT_CONTEXTS } from './wasm/constants.ts'
export { createOracleEngine } from './oracle/oracle-engine.ts'
export { createReferenceEngine } from './reference/reference-engine.ts'
export type { ReferenceOptions } from './reference/reference-arithmetic.ts'
