/** Numbers of the placement runtime, each with its reason. */

/** Bytes of weights a second that a peer takes itself to compute until it has measured it: two cores of ten years ago. */
export const ASSUMED_WORK_PER_SECOND = 5e9

/** A look after the directory has changed: in a swarm of a thousand, two hundred announcements come in a second. */
export const LOOK_MILLISECONDS = 250

/**
 * How long clients have to move their sessions from a peer that leaves to fill a gap. Nothing goes on before the gap is filled,
 * and they wait for 30 s: whoever has not moved by then begins anew elsewhere.
 */
export const GAP_DRAIN_MILLISECONDS = 2_000

/** Units that nobody serves, and of which a load has failed, are left to others for so long: time for some of them to try. */
export const UNLOADABLE_MILLISECONDS = 5 * 60_000

/** A look that failed is tried again after this. */
export const RETRY_MILLISECONDS = 5_000

/** What was measured of a peer counts for so long: machines get other work, and other owners. */
export const MEASURED_MILLISECONDS = 10 * 60_000

/** The same of one that did not do what it says: it may only have been restarted. */
export const FAILED_MILLISECONDS = 2 * 60_000

/** Peers of which measurements are kept; more than a swarm that this was simulated with has. The oldest go first. */
export const MAXIMUM_MEASURED_PEERS = 4096

/** Steps of one row that are timed, after one that is not: the fastest of them shows what the machine can do. */
export const TIMED_STEPS = 5

/** Opening, and each step, of a measurement. A peer that takes longer for a token is of no use to anybody. */
export const TIMED_OPEN_MILLISECONDS = 10_000
export const TIMED_STEP_MILLISECONDS = 10_000

/** Round trips of a measurement: the shortest is what the way takes. */
export const TIMED_PINGS = 4

/** A timer of a machine says nothing about less; so short a step is no measurement, but it is fast. */
export const LEAST_SECONDS = 1e-5

/** Peers that a unit is fetched from, where so many serve it: one may be slow. */
export const HOLDERS_PER_UNIT = 3

/** Further peers that are asked where nobody serves a unit. */
export const OTHER_SOURCES = 16
