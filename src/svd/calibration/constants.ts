/** Numbers of calibration, each with its reason. */

/** Tokens of calibration: more than ten times the widest input of models of 135 million parameters, so that G is of full rank. */
export const DEFAULT_TOKENS = 16_384

/** Tokens held out beside them, to choose the shrinkage on. */
export const DEFAULT_HELD_OUT_TOKENS = 2048

/** Positions of a window, each from an empty context: enough for long dependencies, and small models are trained on no more. */
export const DEFAULT_WINDOW = 512

/** Tokens whose products are added up in float32 before they go into float64: relative errors of G stay below 1e-6. */
export const STRETCH = 128

/** Windows are whole panels of the matrix products. */
export const WINDOW_MULTIPLE = 8

/** Windows on which the effect of a change of weights is measured: 1,024 tokens. */
export const EFFECT_WINDOWS = 2
