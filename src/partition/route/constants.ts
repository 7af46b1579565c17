/** Numbers of routes, each with its reason. */

/**
 * How much worse than the best a route may be that is taken to spread load: less than what measured times differ by from
 * minute to minute, and enough that peers that are alike get equal shares.
 */
export const ROUTE_SPREAD = 0.1

/**
 * Work per second of a peer where nothing at all is known of any: a core or two read weights at about this rate. It decides
 * only how computing compares with hops, until the first step is measured.
 */
export const UNKNOWN_SPEED = 1e10

/**
 * Steps (holders × units) that all searches for one route take together. One search is enough unless the shortest way leads
 * through a peer twice. Some 50 ms; small swarms, where it happens, get thousands of searches.
 */
export const ROUTE_STEPS = 4e6

/** Holders of the unit before that a first, quick search looks at: most cheapest ways come from one of the cheapest few. */
export const FIRST_SOURCES = 4

/** Holders up to which hops that were asked for are kept in a table: 32 MB. */
export const HOP_TABLE_HOLDERS = 2_000

/** No unit counts for less than this share of the mean: a tenth of a millisecond or so where a layer takes a few. */
export const LEAST_WORK_SHARE = 0.05
