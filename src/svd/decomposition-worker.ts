import type { DecompositionTask } from './decomposition-pool.ts'
import { randomisedSvd } from './randomised-svd.ts'
import { serveTasks } from './serve-tasks.ts'
import { truncatedSvd } from './truncated-svd.ts'
import type { Factors, TruncatedSvd } from './types.ts'
import { plainFactors, whitenedFactors } from './whitened-factors.ts'

serveTasks<DecompositionTask, Factors | TruncatedSvd>((task, onProgress) => {
  switch (task.kind) {
    case 'whitened': return whitenedFactors(task.matrix, task.gram, { ...task.options, onProgress })
    case 'plain': return plainFactors(task.matrix, { ...task.options, onProgress })
    case 'truncated': return truncatedSvd(task.matrix, { ...task.options, onProgress })
    case 'randomised': return randomisedSvd(task.matrix, { ...task.options, onProgress })
  }
})
