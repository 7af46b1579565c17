/** Rows computed in one pass over the weights. More rows share unpacked weights better, but need more scratch memory. */
export const MAX_ROWS = 64

/** Rows of logits kept at once: a row of a large vocabulary is 600 kB, and fewer rows read the head more often. */
export const LOGIT_ROWS = 16

/** Positions in a tile of the KV cache; part of profile exact-1. */
export const TILE = 32

/**
 * Tiles in a page, the unit in which the KV cache is given to sessions. Runs of tiles are read twice as fast as tiles
 * that lie apart; but a session takes at least a page.
 */
export const PAGE_TILES = 8

/**
 * Pieces for each thread into which a product is cut. Threads take the next piece when they are done with one, so that
 * a core that is slow or has other work holds up the others by a piece at most.
 */
export const PIECES_PER_THREAD = 4

/** Rows of a piece are whole units of this: four groups of four rows, which a product with one token takes together. */
export const ROW_GRAIN = 16

/**
 * A matrix of fewer rows is read from one place: each of four streams would end before the processor has found it. Right
 * factors of low-rank corrections are such matrices (rank 32 costs 15 % of decode in place of 18 %).
 */
export const SHORT_MATRIX_ROWS = 128

/** Elements of an activation that have one scale; part of profile exact-1. */
export const ACTIVATION_BLOCK = 32

/** Counters of pieces that a unit takes in a step at most: one for each product of a layer, gate and up being one. A head takes one for each group of rows. */
export const COUNTERS_PER_UNIT = 6

/** Where a thread works on attention weights: 32 floats, then 16-bit codes and scales of four heads (kernels/attention.ts). */
export const ATTENTION_WEIGHT_BYTES = 512

/** Bytes of weights in one arena: the rest of the 4 GiB of a WebAssembly memory is left to the KV cache and scratch. */
export const ARENA_WEIGHT_BYTES = 2.5 * 2 ** 30

/** A WebAssembly memory of wasm32 ends here. */
export const ARENA_MAXIMUM_BYTES = 2 ** 32

/**
 * The compiler puts the kernels' constants from byte 1024 of a memory on; each thread that instantiates the kernels writes
 * the same bytes there again. The rest is room to grow.
 */
export const KERNEL_DATA_BYTES = 2_048

/** Bytes of a page of WebAssembly memory. */
export const WASM_PAGE = 65_536

/** Largest alignment that a kernel wants, and a cache line: neighbours in memory are written by different threads. */
export const ALIGNMENT = 64

/** Sessions with their own page table at the same time. A table is four bytes for 32 positions. */
export const MAX_SESSIONS = 256

/** KV budget where none is given: this many contexts of full length. Memory is touched only when used. */
export const DEFAULT_CONTEXTS = 4

/**
 * Turns of a spinning barrier before it sleeps: about a tenth of a millisecond. Waking a thread costs as much as a
 * layer: with 4,000 turns threads slept in the middle of steps (decode of SmolLM2 with 2 threads 60 tokens/s, with
 * 40,000 150, with 200,000 165); with 400,000 they held up other processes on the same cores (20 beside other work).
 */
export const BARRIER_SPINS = 100_000

/** A thread makes little garbage, all of it short-lived; by default V8 lets it touch 5 MB more before it looks. */
export const YOUNG_GENERATION_MEGABYTES = 1

/** Rows of a matrix converted at a time while loading. */
export const LOAD_ROWS = 256

/** From so many tokens on a matrix product unpacks weights once for several of them. */
export const TILE_TOKENS = 4

/** A round of a race of kernels, after one that does not count: the first calls run baseline code. */
export const RACE_MILLISECONDS = 6

/** Rows of a call of a race at most, of a vocabulary's many: there is room for their outputs in any model. */
export const RACE_ROWS = 2048

/** Rounds that count, so that some of them run compiled code on a free core: 10 contestants take 0.3 s, once on a machine. */
export const RACE_ROUNDS = 4

/** Tokens of the race for tiles: as many as some sessions have that decode together, or a short piece of a prompt. */
export const RACE_TOKENS = 16

/** Bytes of a file with choices of kernels: a machine's entry has 200, and a shared home directory may serve many machines. */
export const KERNEL_CACHE_BYTES = 1 << 16

/**
 * Attention items (a row and a KV head) for each thread below which threads share items instead of taking whole ones:
 * 3 KV heads on 2 threads would leave one of them idle for a third of the time.
 */
export const ITEMS_PER_THREAD = 4

/** Visible positions up to which whole items are better all the same: sharing one takes three barriers more. */
export const SHORT_ATTENTION = 256
