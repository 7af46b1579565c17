// A swarm from one bootstrap: how long until everybody knows everybody, what
// that costs at rest, and how it takes the bootstrap's sudden death. Peers have
// stub engines; several of them share a process, which costs what it costs for
// one process with a part of the peers each.
//
//   node scripts/bench-directory.ts [--peers 50] [--processes 5] [--rest 20]

import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createPeerNode } from '../src/peer/index.ts'
import type { PeerNode } from '../src/peer/index.ts'
import { stubModel } from '../test/support/peers.ts'
import { createStubEngine } from '../test/support/stub-engine.ts'

interface Report {
  /** for each peer: how many others it knows */
  known: number[]
  connections: number
  cpuMilliseconds: number
  residentBytes: number
}

const model = stubModel()
const { values } = parseArgs({
  options: { peers: { type: 'string', default: '50' }, processes: { type: 'string', default: '5' }, rest: { type: 'string', default: '20' }, dht: { type: 'boolean', default: false }, child: { type: 'string' }, join: { type: 'string' } }
})

const make = (join: string[]): PeerNode => createPeerNode({
  engine: createStubEngine({ from: 0, to: 6 }), model, listen: ['/ip4/127.0.0.1/tcp/0'], discovery: { join, dht: values.dht, relay: 'use' }
})

async function child (count: number, join: string): Promise<void> {
  const nodes = Array.from({ length: count }, () => make([join]))
  await Promise.all(nodes.map(async node => await node.start()))
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    const report: Report = {
      known: nodes.map(node => node.directory?.records(model.modelId).length ?? 0), connections: 0, cpuMilliseconds: (user + system) / 1000, residentBytes: process.memoryUsage().rss
    }
    process.send?.(report)
  })
  process.on('disconnect', () => process.exit(0))
}

async function ask (process: ChildProcess): Promise<Report> {
  const answer = new Promise<Report>(resolve => process.once('message', message => resolve(message as Report)))
  process.send('report')
  return await answer
}

async function until (children: ChildProcess[], known: number, started: number): Promise<number> {
  for (;;) {
    const reports = await Promise.all(children.map(ask))
    if (reports.every(report => report.known.every(count => count === known))) return (performance.now() - started) / 1000
    if (performance.now() - started > 120_000) throw new Error(`after 120 s the peers know ${reports.map(report => report.known.join(' ')).join(' | ')}`)
    await pause(100)
  }
}

async function main (): Promise<void> {
  const peers = Number(values.peers)
  const processes = Number(values.processes)
  const bootstrap = fork(import.meta.filename, ['--child', '0', '--join', 'none'])
  const address = await new Promise<string>(resolve => bootstrap.once('message', message => resolve(message as string)))
  const started = performance.now()
  const each = Math.floor((peers - 1) / processes)
  const counts = Array.from({ length: processes }, (_value, index) => each + (index < (peers - 1) % processes ? 1 : 0))
  const children = counts.map(count => fork(import.meta.filename, ['--child', String(count), '--join', address, ...values.dht ? ['--dht'] : []]))
  console.log(`${peers} peers in ${processes + 1} processes: everybody knows everybody after ${(await until(children, peers - 1, started)).toFixed(1)} s`)
  const before = await Promise.all(children.map(ask))
  await pause(Number(values.rest) * 1000)
  const after = await Promise.all(children.map(ask))
  const cpu = after.reduce((sum, { cpuMilliseconds }, index) => sum + cpuMilliseconds - before[index].cpuMilliseconds, 0) / Number(values.rest) / (peers - 1)
  console.log(`at rest: ${cpu.toFixed(2)} ms of processor a second for each peer; ${Math.round(Math.max(...after.map(({ residentBytes }, index) => residentBytes / 1e6 / counts[index])))} MB resident for each, Node included`)
  const killed = performance.now()
  bootstrap.kill('SIGKILL')
  console.log(`the bootstrap was killed: everybody has noticed, and knows everybody else, after ${(await until(children, peers - 2, killed)).toFixed(1)} s`)
  for (const process of children) process.disconnect()
}

if (values.child === undefined) await main()
else if (values.join === 'none') {
  const node = make([])
  await node.start()
  process.send?.(node.addresses[0])
  process.on('disconnect', () => process.exit(0))
} else await child(Number(values.child), values.join!)
