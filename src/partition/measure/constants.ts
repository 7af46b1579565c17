/** Numbers of what is measured on routes, each with its reason. */

/** After so long without a new observation an estimate counts half: a machine that was busy may be idle by now. */
export const ESTIMATE_HALF_LIFE_SECONDS = 300

/** Observations that an estimate remembers at most: a change shows within a second of text, one odd step hardly does. */
export const ESTIMATE_MEMORY = 16

/**
 * Rows from which a step counts as prefill. A pass over fewer is bound by the weights it reads, which takes the same time for
 * one row and for several; over more, by arithmetic, which grows with them.
 */
export const PREFILL_ROWS = 16

/** One way to a peer that no ping is known of: about what a wired local network and the handling of a frame take. */
export const UNKNOWN_PING_SECONDS = 0.001

/** Peers, and pairs of them, of which measurements are kept: ten times the largest swarm that is simulated. The oldest go first. */
export const MAX_MEASURED_PEERS = 10_000
export const MAX_MEASURED_PAIRS = 50_000
