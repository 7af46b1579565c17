import neostandard from 'neostandard'

export default [
  ...neostandard({
    ts: true,
    env: ['node', 'mocha'],
    ignores: ['dist/**', 'src/engine/kernels/**', 'models/**', 'test/fixtures/**']
  }),
  { rules: { '@stylistic/comma-dangle': ['error', 'never'] } },
  // chai's assertions are properties: expect(x).to.be.true
  { files: ['test/**'], rules: { 'no-unused-expressions': 'off', '@typescript-eslint/no-unused-expressions': 'off' } }
]
