import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'

export interface CalibrationText {
  text: string
  /** of its UTF-8 bytes, lower-case hex */
  sha256: string
}

/** Openings of eight State of the Union addresses, in the public domain; none of them is among those kept for evaluation. */
const DEFAULT_TEXT = new URL('../../../models/sotu-4m/calibration.txt', import.meta.url)

/** The text that calibrates where no other is given. */
export async function defaultCalibrationText (): Promise<CalibrationText> {
  return calibrationText(await readFile(DEFAULT_TEXT, 'utf8'))
}

/** A text with the hash by which manifests name it. */
export function calibrationText (text: string): CalibrationText {
  return { text, sha256: createHash('sha256').update(text, 'utf8').digest('hex') }
}
