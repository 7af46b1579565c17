import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from '../../test/support/free-ports.ts'
import { createSlowLink } from '../../test/support/slow-link.ts'
import type { SlowLink } from '../../test/support/slow-link.ts'
import type { Place } from './churn.ts'
import { openHandles } from './needs.ts'
import type { Needs } from './needs.ts'
import { startPeer } from './peers.ts'
import type { PeerProcess } from './peers.ts'

/** Two peers for each quarter of the model. */
const PARTS = ['0:2', '2:4', '4:6', '6:8']
const COPIES = 2
/** Of different parts, so that any part may be without a peer for a while. */
const STAY = [0, 5]

/** This share of what passes a link is late, and by so much at most. */
const LATE_SHARE = 0.02
const LATE_MILLISECONDS = [20, 200]

interface Seat extends Place {
  name: string
  port: number
  link: SlowLink
  args: string[]
  process?: PeerProcess
  troubled: boolean
  needs: Needs[]
}

export interface SoakSwarm {
  readonly places: readonly Place[]
  /** of those that are always there */
  readonly addresses: string[]
  /** what processes need that were never killed */
  readonly needs: ReadonlyArray<{ name: string, samples: readonly Needs[] }>
  /** of all peers at their end: `needs` of short lives say little */
  readonly residentBytes: readonly number[]
  /** parts that nobody hosts now */
  readonly missing: number
  /** peers that ended by themselves, and what peers said on stderr */
  readonly oddities: string[]
  start (place: number): Promise<void>
  kill (place: number): void
  cut (place: number, milliseconds: number): void
  freeze (place: number, milliseconds: number): void
  /** asks all processes what they need */
  measure (seconds: number): Promise<void>
  stop (): Promise<void>
}

export interface SoakSwarmInit {
  model: string
  random: () => number
}

export async function createSoakSwarm ({ model, random }: SoakSwarmInit): Promise<SoakSwarm> {
  const folder = mkdtempSync(join(tmpdir(), 'efedllm-soak-'))
  const ports = await freePorts(PARTS.length * COPIES)
  const oddities: string[] = []
  const residentBytes: number[] = []
  const addresses: string[] = []
  const late = (): number => random() < LATE_SHARE ? LATE_MILLISECONDS[0] + random() * (LATE_MILLISECONDS[1] - LATE_MILLISECONDS[0]) : 0
  const seats = await Promise.all(ports.map(async (port, index): Promise<Seat> => {
    const link = await createSlowLink({ hiccup: late })
    link.leadTo(port)
    return {
      name: `peer ${index + 1} (layers ${PARTS[index % PARTS.length]})`,
      part: index % PARTS.length,
      state: 'dead',
      stays: STAY.includes(index),
      port,
      link,
      troubled: false,
      needs: [],
      // half of them come back as who they were, and remember others
      args: [
        '--model', model, '--layers', PARTS[index % PARTS.length], '--threads', '1', '--listen', `/ip4/127.0.0.1/tcp/${port}`, '--announce', link.address, '--no-mdns',
        ...(index % 2 === 0 ? ['--data-dir', join(folder, `peer-${index}`)] : ['--ephemeral'])
      ]
    }
  }))

  function disturb (place: number, milliseconds: number, act: (link: SlowLink) => void): void {
    const seat = seats[place]
    if (seat.troubled) return
    seat.troubled = true
    act(seat.link)
    setTimeout(() => {
      seat.troubled = false
      seat.link.mend()
    }, milliseconds)
  }

  async function start (place: number): Promise<void> {
    const seat = seats[place]
    seat.state = 'starting'
    let process: PeerProcess
    try {
      process = seat.process = await startPeer({ args: [...seat.args, ...(addresses.length > 0 ? ['--join', addresses.join(',')] : [])], cache: folder })
    } catch (error) {
      seat.state = 'dead'
      throw error
    }
    seat.state = 'serving'
    if (seat.stays) addresses.push(process.ready.addresses[0])
    process.ended.then(how => {
      if (seat.process === process && seat.state === 'serving') {
        seat.state = 'dead'
        oddities.push(`${seat.name} ended by itself: ${how}\n${process.words}`)
      } else if (process.words !== '') {
        oddities.push(`${seat.name} said: ${process.words}`)
      }
    })
  }

  return {
    places: seats,
    addresses,
    residentBytes,
    oddities,
    get needs () {
      return seats.filter(({ stays }) => stays).map(({ name, needs }) => ({ name, samples: needs }))
    },
    get missing () {
      return PARTS.filter((_part, number) => !seats.some(({ part, state }) => part === number && state === 'serving')).length
    },
    start,
    kill (place) {
      const seat = seats[place]
      seat.state = 'dead'
      seat.process?.kill()
    },
    cut: (place, milliseconds) => disturb(place, milliseconds, link => link.cut()),
    freeze: (place, milliseconds) => disturb(place, milliseconds, link => link.freeze()),
    async measure (seconds) {
      await Promise.all(seats.map(async ({ state, process, needs, stays }) => {
        if (state !== 'serving' || process === undefined) return
        const memory = await process.memory()
        if (memory === undefined) return
        residentBytes.push(memory.rss)
        if (stays) needs.push({ seconds, residentBytes: memory.rss, heapBytes: memory.heapUsed, externalBytes: memory.external, handles: openHandles(process.pid) })
      }))
    },
    async stop () {
      for (const seat of seats) {
        seat.state = 'dead'
        seat.process?.kill()
      }
      await Promise.all(seats.map(async ({ process, link }) => {
        await process?.ended
        await link.stop()
      }))
      rmSync(folder, { recursive: true, force: true })
    }
  }
}
