/** Opening and describing a model from its files. */
export { describeFile } from './describe-file.ts'
export type { FileDescription, TensorDescription } from './describe-file.ts'
export { openModel, openWeights } from './open-model.ts'
export type { ModelWeights, OpenModelOptions, OpenProgress } from './open-model.ts'
