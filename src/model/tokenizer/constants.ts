/** Limits of this folder, each with its reason. */

/**
 * Tokens of a vocabulary, and merges. The largest in use have about 260,000
 * tokens and 510,000 merges; below 2^21 a pair of ids also fits in a double,
 * and so does a rank beside a position (see `pair-merge.ts`).
 */
export const MAX_VOCABULARY = 2_000_000

/** Code units of one token. The longest in use are runs of some hundred spaces or hyphens. */
export const MAX_TOKEN_LENGTH = 65_536

/** Code units of a token that is looked for in the text: scanning costs up to this much at each position. */
export const MAX_ADDED_TOKEN_LENGTH = 1_024

/** Steps of a normalizer, pre-tokenizer or decoder, nested ones included; the longest in use has eight. */
export const MAX_STEPS = 64

/** Code units of a regular expression; the longest in use (DeepSeek's) has about 600. */
export const MAX_PATTERN_LENGTH = 16_384

/** Ids that a post-processor adds before or after a text. */
export const MAX_ADDED_IDS = 64

/** Code units of a chat template; the longest in use, with tools and multi-modal parts, has about 20,000. */
export const MAX_TEMPLATE_LENGTH = 262_144

/** Named chat templates of one model; two or three are usual. */
export const MAX_TEMPLATES = 32

/**
 * Evaluated nodes of one rendering. A chat of a thousand messages takes some
 * 50,000; the limit ends nested loops within about a second.
 */
export const MAX_TEMPLATE_STEPS = 1_000_000

/** Numbers that `range` makes in a template; templates loop over messages, not over numbers. */
export const MAX_TEMPLATE_RANGE = 10_000

/** Code units of a rendered chat: 16 million positions of four characters would be 64 million. */
export const MAX_RENDERED_LENGTH = 67_108_864

/** Pre-tokens whose ids are remembered; a text of 300,000 tokens has some 25,000 different ones. */
export const CACHED_PIECES = 65_536

/** Code units of a pre-token worth remembering: longer ones hardly ever come twice. */
export const CACHED_PIECE_LENGTH = 64
