import { checkKeys, isInteger, isNumber } from '../config/index.ts'
import type { Fail } from '../config/index.ts'
import { MAX_RANK, RANK_STEP } from '../constants.ts'
import { isJsonObject } from '../json-file.ts'

const SHA256 = /^[0-9a-f]{64}$/

export const COMPRESSION_MODES = ['q8', 'q5', 'q4', 'q3', 'q8+svd', 'q5+svd', 'q4+svd', 'q3+svd', 'svd']

const LAYER_MATRICES = ['query', 'key', 'value', 'attentionOutput', 'gate', 'up', 'down']

/** Checks what a manifest says of its compression; a tied head has no entry of its own. */
export function checkCompression (value: unknown, layerCount: number, fail: Fail): void {
  if (!isJsonObject(value)) return fail('value', 'is neither null nor an object')
  checkKeys(value, ['source', 'calibration', 'units'], '', fail)
  for (const field of ['source', 'calibration']) {
    const hash = value[field]
    if (hash !== null && !(typeof hash === 'string' && SHA256.test(hash))) fail(field, 'is neither null nor a SHA-256 in hexadecimal')
  }
  const { units } = value
  if (!Array.isArray(units) || units.length !== layerCount + 2) return fail('units', `is not a list of ${layerCount + 2}`)
  units.forEach((unit: unknown, i) => {
    const roles = i === 0 ? ['embedding'] : i === layerCount + 1 ? ['projection'] : LAYER_MATRICES
    if (!isJsonObject(unit)) return fail(`units[${i}]`, 'is not an object')
    for (const [role, matrix] of Object.entries(unit)) {
      if (!roles.includes(role)) fail(`units[${i}].${role.slice(0, 80)}`, 'is no matrix of this unit')
      checkMatrix(matrix, `units[${i}].${role}`, fail)
    }
  })
}

function checkMatrix (value: unknown, field: string, fail: Fail): void {
  if (!isJsonObject(value)) return fail(field, 'is not an object')
  checkKeys(value, ['mode', 'rank', 'errors'], field, fail)
  const { mode, rank, errors } = value
  if (typeof mode !== 'string' || !COMPRESSION_MODES.includes(mode)) return fail(`${field}.mode`, `is not one of ${COMPRESSION_MODES.join(', ')}`)
  if (!isInteger(rank, 0, MAX_RANK) || rank % RANK_STEP !== 0) return fail(`${field}.rank`, `is not a multiple of ${RANK_STEP} up to ${MAX_RANK}`)
  if (mode.endsWith('svd') !== (rank > 0)) fail(`${field}.rank`, `${rank} does not go with mode ${mode}`)
  if (!isJsonObject(errors)) return fail(`${field}.errors`, 'is not an object')
  checkKeys(errors, ['weighted', 'frobenius'], `${field}.errors`, fail)
  for (const [name, error] of Object.entries(errors)) {
    if (error !== null && !isNumber(error, 0, 1e6)) fail(`${field}.errors.${name}`, 'is neither null nor a number from 0 to 1000000')
  }
}
