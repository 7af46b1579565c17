/** The outputs that a stage keeps of live sessions: docs/protocol.md, Kept outputs. */
export { createKeptOutputs, HistoryLostError } from './kept-outputs.ts'
export type { KeptHistory, KeptOutputs } from './kept-outputs.ts'
export { CHUNK_POSITIONS } from './constants.ts'
export { createSpillFile } from './spill-file.ts'
