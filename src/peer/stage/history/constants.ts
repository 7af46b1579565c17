/** Sizes of kept outputs, each with its reason. */
import { PREFIX_STRIDE } from '../../constants.ts'

/** Sessions share what a name stands for: whole chunks then. */
export const CHUNK_POSITIONS = PREFIX_STRIDE

/** What may be on its way to disk beyond the budget in memory: a quarter of a second of an old disk. */
export const SPILL_BYTES_UNDER_WAY = 32 << 20
