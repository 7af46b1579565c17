/** Normalizers: rewrite a section of text before it is cut into pieces. */
import { compilePattern } from './library.ts'
import type { NormalizerStep } from './types.ts'

export type Normalizer = (text: string) => string

export function createNormalizer (steps: readonly NormalizerStep[]): Normalizer {
  const compiled = steps.map(compileStep)
  return text => compiled.reduce((result, step) => step(result), text)
}

function compileStep (step: NormalizerStep): Normalizer {
  switch (step.kind) {
    case 'unicode': return text => text.normalize(step.form)
    case 'lowercase': return text => text.toLowerCase()
    case 'prepend': return text => text === '' ? text : step.content + text
    case 'replace': {
      // A literal as the second argument would read `$&` as a reference.
      const content = (): string => step.content
      if ('String' in step.pattern) {
        const from = step.pattern.String
        return text => text.replaceAll(from, content)
      }
      const pattern = compilePattern(step.pattern, 'normalizer.pattern')
      return text => text.replace(pattern, content)
    }
  }
}
