import { expect } from 'chai'
import { startSiege } from '../support/siege/index.ts'
import type { FuzzCounts, Resources, Siege } from '../support/siege/index.ts'

/** Of each kind; somewhat more than 10,000, since some announcements are dropped before anybody looks into them. */
const SEED = 20_261
const COUNTS: FuzzCounts = { stage: 7_100, directory: 700, blocks: 900, info: 200, announcements: 900, answers: 400 }
const MEGABYTE = 1 << 20

/** Nothing that lasts: a stall of seconds would show as a token that takes that long. */
const WORST_TOKEN_MILLISECONDS = 5_000

/**
 * A live peer in its own process, hostile ones in another, and an honest client
 * here, which writes the same text all the time. `node scripts/siege.ts` says
 * the figures, and does it in greater number.
 */
describe('a peer under siege', function () {
  this.timeout(240_000)
  let siege: Siege
  let calm: Resources

  before(async () => {
    // idle sessions give way after a second instead of a minute
    siege = await startSiege({ limits: { evictIdleMilliseconds: 1000 } })
    calm = await siege.peer.call('resources')
  })

  afterEach(async () => await siege.attacker.call('release'))
  after(async () => await siege?.stop())

  /** The honest client writes while something is done to the peer. */
  async function beside<Result> (attack: () => Promise<Result>): Promise<Result> {
    const writer = await siege.write()
    const result = await attack().finally(async () => await writer.stop())
    expect(writer.texts.length).to.be.at.least(1)
    for (const text of writer.texts) expect(text).to.deep.equal(siege.undisturbed)
    expect(Math.max(...writer.milliseconds)).to.be.below(WORST_TOKEN_MILLISECONDS)
    return result
  }

  /** All that an attack has taken comes back. */
  async function recovered (): Promise<void> {
    const now = await siege.settled(({ connections, sessions, files, external }) => connections <= calm.connections && sessions <= calm.sessions && files <= calm.files + 8 && external < calm.external + 30 * MEGABYTE, 20_000)
    expect(now.connections, 'connections').to.be.at.most(calm.connections)
    expect(now.sessions, 'sessions').to.be.at.most(calm.sessions)
    expect(now.files, 'files and sockets').to.be.at.most(calm.files + 8)
    expect(now.streams, 'streams').to.be.at.most(calm.streams + 4)
    expect(now.freePositions, 'positions').to.be.at.least(calm.freePositions - 512)
    expect(now.heapUsed, 'heap').to.be.below(calm.heapUsed + 30 * MEGABYTE)
    expect(now.external, 'buffers').to.be.below(calm.external + 30 * MEGABYTE)
  }

  it('reads 10,000 hostile inputs, and goes on', async () => {
    const known = await siege.peer.call('counts')
    const { sent, answered, closed, silent } = await beside(async () => await siege.attacker.call('fuzz', siege.target, COUNTS, SEED))
    const counts = await siege.peer.call('counts')
    const judged = Object.values(counts).reduce((sum, count) => sum + count, 0) - Object.values(known).reduce((sum, count) => sum + count, 0)
    expect(silent).to.deep.equal({})
    const reacted = [answered, closed].flatMap(counts => Object.values(counts)).reduce((sum, count) => sum + count, 0)
    expect(reacted).to.equal(sent.stage + sent.directory + sent.blocks + sent.info)
    // of announcements, those that are equal to one before, or of no possible size, are dropped before they are looked at
    expect(judged).to.be.at.least(900)
    expect(reacted + judged).to.be.at.least(10_000)
    // both outcomes are reached everywhere
    for (const protocol of ['stage', 'directory', 'blocks'] as const) {
      expect(answered[protocol], protocol).to.be.above(50)
      expect(closed[protocol], protocol).to.be.above(50)
    }
    for (const verdict of ['malformed', 'forged', 'stale', 'clock', 'often', 'model'] as const) expect(counts[verdict] - known[verdict], verdict).to.be.above(5)
    await recovered()
  })

  it('lets others in while hundreds of connections and silent sockets are held', async () => {
    await beside(async () => {
      const sockets = await siege.attacker.call('halfOpen', siege.target, 300)
      expect(sockets.opened).to.be.above(100)
      expect((await siege.newcomer()).ids).to.deep.equal(siege.undisturbed)
      const { opened } = await siege.attacker.call('connections', siege.target, 90)
      // more than a peer keeps
      expect(opened).to.be.above(300)
      expect((await siege.peer.call('resources')).connections).to.be.at.most(301)
      expect((await siege.newcomer()).ids).to.deep.equal(siege.undisturbed)
      await siege.attacker.call('release')
    })
    await recovered()
  })

  it('is not held up by a client that does not read', async () => {
    await beside(async () => {
      const { sessions, steps } = await siege.attacker.call('slowReader', siege.target, 16)
      expect([sessions, steps]).to.deep.equal([16, 128])
      const during = await siege.peer.call('resources')
      // two steps are beyond what may wait on a stream
      expect(during.external).to.be.below(calm.external + 100 * MEGABYTE)
      expect((await siege.newcomer()).ids).to.deep.equal(siege.undisturbed)
      await siege.attacker.call('release')
    })
    await recovered()
  })

  it('takes places back from clients that never close', async () => {
    await beside(async () => {
      const { sessions } = await siege.attacker.call('neverClosing', siege.target, 5, 16)
      expect(sessions).to.be.at.least(60)
      const { ids, refusals } = await siege.newcomer()
      expect(ids).to.deep.equal(siege.undisturbed)
      for (const refusal of refusals) expect(refusal).to.contain('sessions are taken')
      await siege.attacker.call('release')
    })
    await recovered()
  })
})
