import type { Architecture } from '../types.ts'

/** What a model file says about a model, besides where its tensors are. */
export interface ModelConfig {
  architecture: Architecture
  /** which attention biases the tensors must include; `optional`: those that are there */
  attentionBias: 'none' | 'queryKeyValue' | 'all' | 'optional'
}
