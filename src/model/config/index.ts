/** Architectures and their tensors, from `config.json` or from GGUF metadata. */
export { checkArchitecture, checkKeys, isInteger, isNumber } from './check-architecture.ts'
export type { Fail } from './check-architecture.ts'
export { configFromJson } from './from-json.ts'
export { configFromGguf } from './from-gguf.ts'
export { buildUnits, expectedShape } from './units.ts'
export type { ModelConfig } from './types.ts'
