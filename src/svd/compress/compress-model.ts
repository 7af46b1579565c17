import { rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { createPackageWriter } from '../../model/index.ts'
import type { Compression, PackageWriter } from '../../model/index.ts'
import { createCalibrator, cutWindows, inputOf, LAYER_MATRICES, MATRIX_INPUTS } from '../calibration/index.ts'
import type { Calibrator, InputStatistics, LayerMatrix, LayerWeights, MatrixInput } from '../calibration/index.ts'
import type { CompressedMatrix } from './compress-matrix.ts'
import { TABLE_ROWS } from './constants.ts'
import { matrixName, tensorsOf } from './model-matrices.ts'
import type { Table } from './model-matrices.ts'
import { checkFixedPlan, LEFT_TYPE, RIGHT_TYPE, storedBytes } from './modes.ts'
import { allocatedChoices, checkRanges, fixedChoices } from './plan-choices.ts'
import type { ChosenMode } from './plan-choices.ts'
import { embeddingRows, encodedRows, readWeights } from './source-weights.ts'
import { readLayer, surveyModel } from './survey.ts'
import type { CompressInit, CompressProgress, CompressReport, MatrixReport } from './types.ts'
import { createCompressWorkers } from './workers.ts'
import type { CompressWorkers } from './workers.ts'

export interface CompressOptions {
  signal?: AbortSignal
  onProgress?: (event: CompressProgress) => void
}

/**
 * Compresses a model into a package, one layer in memory at a time. Each layer
 * is calibrated on what the layers before it, already compressed, give; its
 * factors are fitted to G shrunk as held-out text has it best.
 *
 * @throws CompressionOptionError, BudgetTooSmallError, CalibrationTextTooShortError, errors of the package writer; the
 *   reason of the signal after an abort. Nothing is left of a package that was not finished.
 */
export async function compressModel (init: CompressInit, options: CompressOptions = {}): Promise<CompressReport> {
  const { source, plan, threads } = init
  options.signal?.throwIfAborted()
  if (plan.kind === 'fixed') checkFixedPlan(plan)
  checkRanges(plan, source.architecture.layerCount + 2)
  const workers = createCompressWorkers(threads)
  try {
    return await new Compressor(init, options, workers).run()
  } finally {
    await workers.stop()
  }
}

class Compressor {
  readonly #init: CompressInit
  readonly #options: CompressOptions
  readonly #workers: CompressWorkers
  readonly #matrices: MatrixReport[] = []
  readonly #started = performance.now()

  constructor (init: CompressInit, options: CompressOptions, workers: CompressWorkers) {
    this.#init = init
    this.#options = options
    this.#workers = workers
  }

  async run (): Promise<CompressReport> {
    const { source, directory, name = source.name, calibration, threads, text } = this.#init
    const { architecture } = source
    const ids = source.tokenizer.encode(text.text, { addSpecialTokens: false })
    const windows = cutWindows(ids, architecture, calibration)
    const { choices, cost } = await this.#choices(ids)
    // a package appears whole or not at all
    const unfinished = `${resolve(directory)}.${process.pid}.unfinished`
    const writer = await createPackageWriter({
      directory: unfinished,
      architecture,
      tokenizer: source.tokenizerData,
      about: { name, generation: source.generation }
    })
    const calibrator = createCalibrator({ architecture, windows, threads })
    try {
      await this.#writeUnits(writer, calibrator, choices)
      const { modelId } = await writer.finish({ compression: this.#compression() })
      await rename(unfinished, directory)
      const { parameters, bytes, vectors } = tensorsOf(source)
      const stored = [...this.#matrices.map(({ bytes }) => bytes), ...vectors.map(vector => vector.source.byteLength)].reduce((a, b) => a + b)
      const tokens = windows.calibration * windows.window
      return {
        source: { name: source.name, modelId: source.modelId, bytes },
        package: { directory, modelId, bytes: stored },
        parameters,
        bitsPerWeight: stored * 8 / parameters,
        expectedDivergence: cost,
        calibration: { sha256: text.sha256, tokens, heldOutTokens: windows.ids.length - tokens, window: windows.window },
        matrices: this.#matrices,
        milliseconds: performance.now() - this.#started
      }
    } finally {
      await calibrator.stop()
      await rm(unfinished, { recursive: true, force: true })
    }
  }

  async #choices (ids: readonly number[]): Promise<{ choices: Map<string, ChosenMode>, cost: number | null }> {
    const { source, plan, threads, calibration } = this.#init
    if (plan.kind === 'fixed') return { choices: fixedChoices(source, plan), cost: null }
    const { signal, onProgress } = this.#options
    const candidates = await surveyModel({ source, ids, calibration, workers: this.#workers, threads }, {
      signal,
      onProgress: (done, total) => onProgress?.({ type: 'compress:survey', done, total })
    })
    return allocatedChoices(source, plan, candidates)
  }

  async #writeUnits (writer: PackageWriter, calibrator: Calibrator, choices: Map<string, ChosenMode>): Promise<void> {
    const { source } = this.#init
    const { signal } = this.#options
    const { layerCount } = source.architecture
    const embedding = source.unit(0).tensors.embedding!
    const { tables } = tensorsOf(source)
    const [type] = choices.get(matrixName(0, 'embedding'))!.bases
    calibrator.start(ids => embeddingRows(embedding, ids, type))
    await writer.addUnit(0, this.#packTables(0, tables, choices), { signal })
    for (let layer = 0; layer < layerCount; layer++) {
      const { packed, decoded } = await this.#compressLayer(layer, calibrator, choices)
      await writer.addUnit(layer + 1, { ...source.unit(layer + 1).tensors, ...packed }, { signal })
      await calibrator.advance(layer, decoded, { signal, onProgress: this.#within(layer + 0.75, 0.25) })
    }
    const { finalNorm } = source.unit(layerCount + 1).tensors
    const { gram } = await calibrator.collectHead(readWeights(finalNorm!), { signal })
    await writer.addUnit(layerCount + 1, { finalNorm, ...this.#packTables(layerCount + 1, tables, choices) }, { signal })
    for (const table of tables) await this.#reportTable(table, choices.get(matrixName(table.unit, table.role))!, gram)
    this.#options.onProgress?.({ type: 'compress:units', done: layerCount + 2, total: layerCount + 2 })
  }

  /** Progress of a part of a layer that begins at `from`, in layers, and is `share` of one. */
  #within (from: number, share: number): (done: number, total: number) => void {
    const total = this.#init.source.architecture.layerCount + 2
    return (done, of) => this.#options.onProgress?.({ type: 'compress:units', done: 1 + from + share * done / of, total })
  }

  async #compressLayer (layer: number, calibrator: Calibrator, choices: Map<string, ChosenMode>) {
    const { source } = this.#init
    const { signal } = this.#options
    const weights = readLayer(source, layer)
    const statistics = await calibrator.collect(layer, weights, { signal, onProgress: this.#within(layer, 0.35) })
    const shrinkages = await this.#shrinkages(layer, weights, statistics, choices)
    const progress = this.#within(layer + 0.35, 0.4)
    let done = 0
    const results = await Promise.all(LAYER_MATRICES.map(async matrix => {
      const input = inputOf(matrix)
      const [rows, columns] = source.unit(layer + 1).tensors[matrix]!.shape
      const chosen = choices.get(matrixName(layer + 1, matrix))!
      const shrinkage = chosen.rank === 0 ? 0 : shrinkages[input]
      const result = await this.#workers.run<'compress'>({
        kind: 'compress',
        problem: { rows, columns, weights: weights[matrix]!, gram: statistics[input].gram, shrinkage },
        recipe: { bases: chosen.bases, rank: chosen.rank, whitened: this.#whitened }
      }, signal)
      progress(++done, LAYER_MATRICES.length)
      return { matrix, rows, columns, chosen, shrinkage, result }
    }))
    const decoded: LayerWeights = { ...weights }
    const packed: Parameters<PackageWriter['addUnit']>[1] = {}
    for (const { matrix, rows, columns, chosen, shrinkage, result } of results) {
      decoded[matrix] = result.decoded
      packed[matrix] = packMatrix(rows, columns, chosen.rank, result)
      const base = result.base?.type ?? null
      this.#report({
        unit: layer + 1,
        role: matrix,
        rows,
        columns,
        mode: chosen.mode,
        base,
        rank: chosen.rank,
        order: result.order,
        bytes: storedBytes(rows, columns, base, chosen.rank),
        errors: result.errors,
        shrinkage
      })
    }
    return { packed, decoded }
  }

  get #whitened (): boolean {
    return this.#init.plan.kind !== 'fixed' || this.#init.plan.whitened !== false
  }

  /** For each input one amount, chosen on the first matrix with factors that is applied to it. */
  async #shrinkages (layer: number, weights: LayerWeights, statistics: Record<MatrixInput, InputStatistics>, choices: Map<string, ChosenMode>): Promise<Record<MatrixInput, number>> {
    const { source } = this.#init
    const amounts = await Promise.all(MATRIX_INPUTS.map(async input => {
      const chosenOf = (matrix: LayerMatrix) => choices.get(matrixName(layer + 1, matrix))!
      const matrix = LAYER_MATRICES.find(matrix => inputOf(matrix) === input && chosenOf(matrix).rank > 0)
      if (matrix === undefined || !this.#whitened || statistics[input].heldOutGram.every(value => value === 0)) return [input, 0]
      const [rows, columns] = source.unit(layer + 1).tensors[matrix]!.shape
      const { gram, heldOutGram } = statistics[input]
      const { bases, rank } = chosenOf(matrix)
      const { amount } = await this.#workers.run<'shrinkage'>({
        kind: 'shrinkage', problem: { rows, columns, weights: weights[matrix]!, gram, heldOutGram, base: bases[0] ?? null, rank }
      }, this.#options.signal)
      return [input, amount]
    }))
    return Object.fromEntries(amounts) as Record<MatrixInput, number>
  }

  #packTables (unit: number, tables: Table[], choices: Map<string, ChosenMode>): Parameters<PackageWriter['addUnit']>[1] {
    return Object.fromEntries(tables.filter(table => table.unit === unit).map(({ role, source }) => {
      const [type] = choices.get(matrixName(unit, role))!.bases
      return [role, { type, shape: source.shape, bytes: encodedRows(source, type, TABLE_ROWS) }]
    }))
  }

  async #reportTable ({ unit, role, source, applied }: Table, { mode, bases: [base] }: ChosenMode, gram: Float64Array): Promise<void> {
    const problem = { source, stored: base, gram: applied ? gram : null }
    const errors = await this.#workers.run<'measure'>({ kind: 'measure', problem }, this.#options.signal)
    const [rows, columns] = source.shape
    this.#report({ unit, role, rows, columns, mode, base, rank: 0, order: null, bytes: storedBytes(rows, columns, base, 0), errors, shrinkage: 0 })
  }

  #report (matrix: MatrixReport): void {
    this.#matrices.push(matrix)
    this.#options.onProgress?.({ type: 'compress:matrix', matrix })
  }

  #compression (): Compression {
    const units: Compression['units'] = Array.from({ length: this.#init.source.architecture.layerCount + 2 }, () => ({}))
    for (const { unit, role, mode, rank, errors } of this.#matrices) units[unit][role] = { mode, rank, errors }
    return { source: this.#init.source.modelId, calibration: this.#init.text.sha256, units }
  }
}

function packMatrix (rows: number, columns: number, rank: number, { base, lowRank }: CompressedMatrix) {
  return {
    type: base?.type ?? 'ZERO',
    shape: [rows, columns],
    bytes: base?.bytes ?? new Uint8Array(),
    lowRank: lowRank === null
      ? undefined
      : { rank, left: { type: LEFT_TYPE, bytes: lowRank.left }, right: { type: RIGHT_TYPE, bytes: lowRank.right } }
  }
}
