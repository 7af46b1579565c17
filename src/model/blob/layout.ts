import { ROLE_ORDER, SECTION_ALIGNMENT } from './constants.ts'
import type { Section } from './header.ts'

const PART_ORDER = ['base', 'left', 'right']

/** Order of sections in a blob: by role, then base before factors. */
export function compareSections (a: Pick<Section, 'role' | 'part'>, b: Pick<Section, 'role' | 'part'>): number {
  return ROLE_ORDER.indexOf(a.role) - ROLE_ORDER.indexOf(b.role) || PART_ORDER.indexOf(a.part) - PART_ORDER.indexOf(b.part)
}

/** Gives sections, which are in order, their only possible offsets. Those in another blob keep theirs. */
export function layOutSections<Item extends Section> (sections: readonly Item[]): { sections: Item[], dataLength: number } {
  let end = 0
  const placed = sections.map(section => {
    if (section.blob !== null) return section
    const offset = Math.ceil(end / SECTION_ALIGNMENT) * SECTION_ALIGNMENT
    // a section without bytes has a place of its own too: places tell tensors apart
    end = offset + (section.byteLength === 0 ? SECTION_ALIGNMENT : section.byteLength)
    return { ...section, offset }
  })
  return { sections: placed, dataLength: end }
}
