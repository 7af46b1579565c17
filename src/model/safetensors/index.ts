/** Safetensors files and checkpoints of several of them: headers and tensor descriptors. */
export { parseSafetensors, readSafetensors } from './read-safetensors.ts'
export type { SafetensorsFile } from './read-safetensors.ts'
export { readCheckpoint } from './read-directory.ts'
export type { Checkpoint } from './read-directory.ts'
