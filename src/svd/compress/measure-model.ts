import { isDeepStrictEqual } from 'node:util'
import type { Model, TensorRole, UnitName } from '../../model/index.ts'
import { createCalibrator, cutWindows, inputOf, LAYER_MATRICES } from '../calibration/index.ts'
import type { CalibrationText, LayerMatrix, WindowOptions } from '../calibration/index.ts'
import { OtherSourceError } from './errors.ts'
import { tensorsOf } from './model-matrices.ts'
import { embeddingRows, readWeights } from './source-weights.ts'
import { readLayer } from './survey.ts'
import { createCompressWorkers } from './workers.ts'

export interface MeasureInit {
  /** the package */
  stored: Model
  source: Model
  /** measures weighted errors too: the text that the package was calibrated on */
  text?: CalibrationText
  /** as it was when the package was made */
  calibration?: WindowOptions
  threads: number
}

export interface MeasuredMatrix {
  unit: UnitName
  role: TensorRole
  /** as the manifest has it; null where it has none */
  recorded: { weighted: number | null, frobenius: number | null } | null
  measured: { weighted: number | null, frobenius: number }
}

export interface MeasureOptions {
  signal?: AbortSignal
  /** units done, of all */
  onProgress?: (done: number, total: number) => void
}

/**
 * Errors of all matrices of a package relative to its source, measured anew:
 * Frobenius errors always, weighted ones by running the text through the
 * package as compression did.
 *
 * @throws OtherSourceError where the shapes differ
 */
export async function measureModel (init: MeasureInit, { signal, onProgress }: MeasureOptions = {}): Promise<MeasuredMatrix[]> {
  const { stored, source, text, calibration, threads } = init
  const { architecture } = source
  const units = architecture.layerCount + 2
  checkShapes(stored, source)
  const workers = createCompressWorkers(threads)
  const calibrator = text === undefined
    ? undefined
    : createCalibrator({ architecture, threads, windows: cutWindows(source.tokenizer.encode(text.text, { addSpecialTokens: false }), architecture, calibration) })
  const result: MeasuredMatrix[] = []
  const measure = async (unit: number, role: TensorRole, gram: Float64Array | null): Promise<MeasuredMatrix> => ({
    unit: stored.unit(unit).unit,
    role,
    recorded: stored.manifest.compression?.units[unit]?.[role]?.errors ?? null,
    measured: await workers.run<'measure'>({
      kind: 'measure', problem: { source: source.unit(unit).tensors[role]!, stored: stored.unit(unit).tensors[role]!, gram }
    }, signal)
  })
  try {
    calibrator?.start(ids => embeddingRows(stored.unit(0).tensors.embedding!, ids))
    for (let layer = 0; layer < architecture.layerCount; layer++) {
      signal?.throwIfAborted()
      const statistics = await calibrator?.collect(layer, readLayer(source, layer), { signal })
      const gramOf = (matrix: LayerMatrix) => statistics === undefined ? null : statistics[inputOf(matrix)].gram
      result.push(...await Promise.all(LAYER_MATRICES.map(matrix => measure(layer + 1, matrix, gramOf(matrix)))))
      await calibrator?.advance(layer, readLayer(stored, layer), { signal })
      onProgress?.(layer + 1, units)
    }
    const head = await calibrator?.collectHead(readWeights(source.unit(units - 1).tensors.finalNorm!), { signal })
    for (const { unit, role, applied } of tensorsOf(source).tables) result.push(await measure(unit, role, applied && head !== undefined ? head.gram : null))
    onProgress?.(units, units)
    return result
  } finally {
    await Promise.all([workers.stop(), calibrator?.stop()])
  }
}

function checkShapes (stored: Model, source: Model): void {
  const { layerCount } = source.architecture
  const same = isDeepStrictEqual(stored.architecture, source.architecture) && Array.from({ length: layerCount + 2 }, (_, unit) => unit).every(unit => {
    const [a, b] = [stored, source].map(model => new Map(Object.entries(model.unit(unit).tensors).map(([role, { shape }]) => [role, shape])))
    return isDeepStrictEqual(a, b)
  })
  if (!same) throw new OtherSourceError('its architecture or its tensors are others')
}
