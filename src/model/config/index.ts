/** Architectures and their tensors, from `config.json` or from GGUF metadata. */
export { checkArchitecture, checkKeys } from './check-architecture.ts'
export type { Fail } from './check-architecture.ts'
export { configFromJson } from './from-json.ts'
export { configFromGguf } from './from-gguf.ts'
export { buildUnits } from './units.ts'
export type { ModelConfig } from './types.ts'
