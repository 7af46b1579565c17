/** The only functions beyond `+ − × ÷` that the sampler may use: their bits are part of the numerics profile. */
export { exp64, log64 } from '../../engine/index.ts'
