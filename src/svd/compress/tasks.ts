import type { MatrixProblem, MatrixRecipe, CompressedMatrix } from './compress-matrix.ts'
import type { TableComparison, TableProblem } from './compare-tables.ts'
import type { MeasureProblem } from './measure-rows.ts'
import type { ShrinkageProblem } from './shrinkage.ts'
import type { SurveyOptions } from './survey-matrix.ts'
import type { MatrixChoice } from './types.ts'

/** What worker threads are asked. */
export type CompressTask =
  | { kind: 'survey', problem: MatrixProblem, options: SurveyOptions }
  | { kind: 'shrinkage', problem: ShrinkageProblem }
  | { kind: 'compress', problem: MatrixProblem, recipe: MatrixRecipe }
  | { kind: 'tables', problem: TableProblem }
  | { kind: 'measure', problem: MeasureProblem }

/** Their answers, by the kind of the question. */
export interface CompressAnswers {
  survey: MatrixChoice[]
  shrinkage: { amount: number, errors: Array<{ amount: number, error: number }> }
  compress: CompressedMatrix
  tables: TableComparison[]
  measure: { weighted: number | null, frobenius: number }
}
