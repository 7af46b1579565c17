/** Numbers of the planner, each with its reason. */

/**
 * What a peer takes beside weights and KV cache: Node, libp2p, the program, tokenizer, buffers. This is what peers are
 * meant to stay within; peers of SmolLM2-135M at rest took 228 to 235 MB (resident, Node 24, one thread, built program).
 */
export const BASE_BYTES = 200e6

/**
 * Seconds from the end of one stage to the start of the next where nothing is said: an assumption, about what a wired
 * local network and the handling of a frame take.
 */
export const HOP_SECONDS = 0.001

/** Machines of one plan; ten times the largest swarm that is simulated. */
export const MAX_MACHINES = 10_000

/** Bytes of memory of one machine at most, and work per second: sums stay exact integers of a double. */
export const MAX_QUANTITY = 2 ** 52

/** Relaxations up to which all orders of the machines are searched: half a second. Twelve different machines and 34 units take 28 million. */
export const EXACT_STEPS = 2e8

/** Entries of the tables of that search: 20 bytes each. */
export const EXACT_ENTRIES = 4e6

/** Orders tried by exchanging two machines, where there are too many for all of them. An order is a sum over its machines. */
export const EXCHANGES = 2_000

/** Latencies that differ by less than this share are equal: sums of floats in another order differ in their last bits. */
export const TIE = 1e-9
