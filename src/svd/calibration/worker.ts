import { createFloatKernels } from '../product/index.ts'
import { serve } from '../threads/index.ts'
import type { TensorRole } from '../../model/index.ts'
import { GramShare } from './gram-share.ts'
import { MATRIX_INPUTS } from './inputs.ts'
import type { MatrixInput } from './inputs.ts'
import type { LayerLayout } from './layer-layout.ts'
import { WindowForward } from './window-forward.ts'

export interface WorkerInit {
  layout: LayerLayout
  memory: WebAssembly.Memory
}

export type Request =
  /** all threads: before the first window of a layer */
  | { type: 'clear' }
  /** one thread: runs a window */
  | { type: 'layer', window: number, slidingWindow: number | null, present: TensorRole[], advance: boolean, panels: boolean }
  /** one thread: runs a window and keeps its output apart, or answers how far its output is from what was kept */
  | { type: 'effect', window: number, slidingWindow: number | null, present: TensorRole[], compare: boolean }
  | { type: 'final-norm', window: number }
  /** all threads: adds the windows that the threads just ran; `heldOut` of each */
  | { type: 'gram', heldOut: boolean[], inputs: MatrixInput[] }
  /** all threads: after the last window */
  | { type: 'mirror', inputs: MatrixInput[] }

serve<WorkerInit, Request, number>(({ layout, memory }, thread) => {
  const kernels = createFloatKernels(memory)
  const forward = new WindowForward(layout, memory, kernels, thread)
  const share = new GramShare(layout, memory, kernels, thread)
  return request => {
    switch (request.type) {
      case 'clear':
        for (const input of MATRIX_INPUTS) share.clear(input)
        break
      case 'layer':
        forward.layer(request.window, request.slidingWindow, request.present, request.advance ? 'replace' : 'none', request.panels)
        break
      case 'effect':
        forward.layer(request.window, request.slidingWindow, request.present, 'leave', false)
        if (request.compare) return forward.compareOutput(request.window)
        forward.keepOutput(request.window)
        break
      case 'final-norm':
        forward.finalNorm(request.window)
        break
      case 'gram':
        for (const input of request.inputs) request.heldOut.forEach((heldOut, slot) => share.add(input, slot, heldOut))
        break
      case 'mirror':
        for (const input of request.inputs) share.mirror(input)
    }
    return 0
  }
})
