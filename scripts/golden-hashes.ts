/**
 * Writes test/fixtures/golden-hashes.json: the bits of profile `exact-1`,
 * computed by the oracle. They change only with the profile, so run this only
 * for a new one:
 *
 *   node scripts/golden-hashes.ts
 */
import { writeFileSync } from 'node:fs'
import { createOracleEngine } from '../src/engine/oracle/oracle-engine.ts'
import { withEngine } from '../test/support/engines.ts'
import { goldenInputs, hashOf } from '../test/support/golden-hashes.ts'
import { openNamed } from '../test/support/golden-models.ts'

const DECODED = 16

const models: string[] = []
for (const [name, inputs] of goldenInputs()) {
  const lines = await withEngine(createOracleEngine, openNamed(name)!, async engine => {
    const lines: string[] = []
    for (const ids of inputs) lines.push(JSON.stringify(await hashOf(engine, ids, DECODED)))
    return lines
  })
  models.push(`  ${JSON.stringify(name)}: [\n    ${lines.join(',\n    ')}\n  ]`)
  console.log(name)
}
writeFileSync(new URL('../test/fixtures/golden-hashes.json', import.meta.url), `{\n${models.join(',\n')}\n}\n`)
