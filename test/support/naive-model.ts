import type { Architecture } from '../../src/model/index.ts'

/** Tensors by the names of Hugging Face. */
export type NaiveTensors = Record<string, { shape: number[], values: ArrayLike<number> }>

/**
 * The whole model in binary64, without a cache: every position is computed
 * from all tokens, layer by layer, with attention as a full matrix of scores.
 * Written after the papers (RMSNorm, rotary embedding, grouped queries, SwiGLU)
 * and shares no code with the engines.
 *
 * @param watch gets each vector that a matrix is applied to
 * @returns logits of every position
 */
export function naiveLogits (
  a: Architecture, tensors: NaiveTensors, ids: ArrayLike<number>, watch: (name: string, x: number[]) => void = () => {}
): number[][] {
  const matrix = (name: string) => {
    const { shape: [rows, columns], values } = tensors[name]
    return (x: number[]) => {
      watch(name, x)
      return Array.from({ length: rows }, (_, n) => x.reduce((sum, value, k) => sum + value * values[n * columns + k], 0))
    }
  }
  const norm = (name: string) => (x: number[]) => {
    const root = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length + a.normEpsilon)
    return x.map((value, i) => value / root * tensors[name].values[i])
  }
  const plus = (x: number[], y: ArrayLike<number>) => x.map((value, i) => value + y[i])
  const biased = (name: string) => {
    const apply = matrix(`${name}.weight`)
    const bias = tensors[`${name}.bias`]
    return (x: number[]) => bias === undefined ? apply(x) : plus(apply(x), bias.values)
  }
  const heads = (x: number[]) => Array.from({ length: x.length / a.headSize }, (_, h) => x.slice(h * a.headSize, (h + 1) * a.headSize))
  const rotated = (head: number[], position: number) => head.map((value, i) => {
    const half = a.headSize / 2
    const divisor = a.ropeScaling?.kind === 'linear' ? a.ropeScaling.factor : 1
    const angle = position * a.ropeTheta ** (-2 * (i % half) / a.headSize) / divisor
    // (x, y) turned by the angle: x cos − y sin, y cos + x sin
    const partner = i < half ? -head[i + half] : head[i - half]
    return value * Math.cos(angle) + partner * Math.sin(angle)
  })

  const embedding = tensors['model.embed_tokens.weight']
  let hidden = Array.from(ids, id => Array.from({ length: a.hiddenSize }, (_, i) => embedding.values[id * a.hiddenSize + i]))
  for (let layer = 0; layer < a.layerCount; layer++) {
    const name = (rest: string) => `model.layers.${layer}.${rest}`
    const x = hidden.map(norm(name('input_layernorm.weight')))
    const headNorm = (part: string) => a.queryKeyNorm ? norm(name(`self_attn.${part}_norm.weight`)) : (head: number[]) => head
    const queries = x.map(biased(name('self_attn.q_proj'))).map((row, p) => heads(row).map(headNorm('q')).map(head => rotated(head, p)))
    const keys = x.map(biased(name('self_attn.k_proj'))).map((row, p) => heads(row).map(headNorm('k')).map(head => rotated(head, p)))
    const values = x.map(biased(name('self_attn.v_proj'))).map(heads)
    const window = a.slidingWindows[layer] ?? Infinity
    const mixed = queries.map((row, p) => row.map((query, h) => {
      const shared = Math.floor(h * a.keyValueHeadCount / a.headCount)
      const weights = keys.map((key, j) => j > p || j <= p - window
        ? 0
        : Math.exp(query.reduce((sum, value, d) => sum + value * key[shared][d], 0) / Math.sqrt(a.headSize)))
      const total = weights.reduce((sum, weight) => sum + weight, 0)
      return query.map((_, d) => weights.reduce((sum, weight, j) => sum + weight / total * values[j][shared][d], 0))
    }).flat())
    const output = biased(name('self_attn.o_proj'))
    hidden = hidden.map((row, p) => plus(row, output(mixed[p])))
    const y = hidden.map(norm(name('post_attention_layernorm.weight')))
    const gate = y.map(matrix(name('mlp.gate_proj.weight')))
    const up = y.map(matrix(name('mlp.up_proj.weight')))
    const down = matrix(name('mlp.down_proj.weight'))
    hidden = hidden.map((row, p) => plus(row, down(gate[p].map((g, i) => g / (1 + Math.exp(-g)) * up[p][i]))))
  }
  return hidden.map(norm('model.norm.weight')).map(matrix('lm_head.weight'))
}
