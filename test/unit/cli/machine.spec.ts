import { expect } from 'chai'
import { describeMachine, flagsIn, machineLines } from '../../../src/cli/machine.ts'

describe('cli/machine', () => {
  it('finds flags as whole words', () => {
    const cpuinfo = 'processor\t: 0\nmodel name\t: X\nflags\t\t: fpu avx2 avx512_vnni avx512_vnni_like\n\nprocessor\t: 1\nflags\t\t: avx_vnni\n'
    expect(flagsIn(cpuinfo)).to.deep.equal(['avx2', 'avx512_vnni'])
    expect(flagsIn('Features\t: fp asimddp i8mm\n')).to.deep.equal(['asimddp', 'i8mm'])
    expect(flagsIn('processor\t: 0\n')).to.equal(null)
  })

  it('says of both forms of VNNI whether they are there', () => {
    const machine = { ...describeMachine(), flags: ['avx2', 'avx512_vnni'] }
    expect(machineLines(machine)[1]).to.equal('avx_vnni no, avx512_vnni yes; avx2')
    expect(machineLines({ ...machine, flags: null })[1]).to.equal('processor flags unknown')
  })
})
