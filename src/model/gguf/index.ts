/** GGUF files, version 3: header, metadata and tensor descriptors. */
export { parseGguf, readGguf } from './read-gguf.ts'
export type { GgufFile } from './read-gguf.ts'
export type { GgufValue } from '../types.ts'
