import { serveTasks } from '../serve-tasks.ts'
import { compareTable } from './compare-tables.ts'
import { compressMatrix } from './compress-matrix.ts'
import { measureRows } from './measure-rows.ts'
import { chooseShrinkage } from './shrinkage.ts'
import { surveyMatrix } from './survey-matrix.ts'
import type { CompressAnswers, CompressTask } from './tasks.ts'

serveTasks<CompressTask, CompressAnswers[keyof CompressAnswers]>(task => {
  switch (task.kind) {
    case 'survey': return surveyMatrix(task.problem, task.options)
    case 'shrinkage': return chooseShrinkage(task.problem)
    case 'compress': return compressMatrix(task.problem, task.recipe)
    case 'tables': return compareTable(task.problem)
    case 'measure': return measureRows(task.problem)
  }
})
