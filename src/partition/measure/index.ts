/** How fast peers are, and the ways between them, as the steps of sessions show it. */
export { attributeStep } from './attribute-step.ts'
export type { StepAttribution, StepShare, StepTimes } from './attribute-step.ts'
export { observe } from './estimate.ts'
export type { Estimate } from './estimate.ts'
export { createMeasurements } from './measurements.ts'
export type { MeasuredStep, Measurements, StepKind } from './measurements.ts'
