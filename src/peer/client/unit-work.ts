import type { Architecture } from '../../model/index.ts'

/** Bytes a weight has, about: routes only compare units with each other. */
const BYTES = 0.6

/** What a token costs in each unit, as bytes of weights that it reads; a client knows the architecture, if not the weights. */
export function unitWork ({ layerCount, hiddenSize, feedForwardSize, headCount, keyValueHeadCount, headSize, vocabularySize }: Architecture): number[] {
  const attention = 2 * hiddenSize * headSize * (headCount + keyValueHeadCount)
  const layer = attention + 3 * hiddenSize * feedForwardSize
  return [hiddenSize, ...new Array<number>(layerCount).fill(layer), hiddenSize * vocabularySize].map(weights => weights * BYTES)
}
