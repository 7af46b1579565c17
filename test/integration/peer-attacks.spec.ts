import { expect } from 'chai'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { connectRoute } from '../../src/peer/index.ts'
import type { PeerNode } from '../../src/peer/index.ts'
import { startedNode } from '../../src/peer/node.ts'
import { decodeOpened, decodeSigned, decodeStatement, encodeSigned, encodeStatement, ErrorCode, Kind } from '../../src/peer/wire/index.ts'
import type { FrameInit, Statement } from '../../src/peer/wire/index.ts'
import { createSwarm, rawLink, rawRoute, stubModel } from '../support/peers.ts'
import type { RawLink, StubPeer } from '../support/peers.ts'
import { createStubEngine } from '../support/stub-engine.ts'
import { createLocalSession } from '../../src/peer/index.ts'

const ids = (length: number, seed = 0): Uint32Array => Uint32Array.from({ length }, (_value, index) => (index * 7 + seed) % 64)
const last = (length: number) => [{ row: length - 1, output: { kind: 'top' as const, count: 3 } }]

describe('peer: attacks', () => {
  const swarm = createSwarm()
  const servers: Server[] = []
  afterEach(async () => {
    await swarm.stop()
    for (const server of servers.splice(0)) server.close()
  })

  /** A machine that agreed to nothing: counts who knocks. */
  async function victim (): Promise<{ port: number, connections: () => number }> {
    let count = 0
    const server = createServer(socket => {
      count++
      socket.destroy()
    })
    servers.push(server)
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    return { port: (server.address() as AddressInfo).port, connections: () => count }
  }

  const stages = async (): Promise<[StubPeer, StubPeer]> => [await swarm.peer(0, 3), await swarm.peer(3, 6)]

  describe('a third node that knows the session id', () => {
    const frames: Array<[string, Partial<FrameInit> & { kind: FrameInit['kind'] }]> = [
      ['inject token ids', { kind: Kind.step, sequence: 1000, position: 0, rows: 2, tokens: ids(2) }],
      ['inject hidden state', { kind: Kind.step, sequence: 1000, position: 0, rows: 1, hidden: new Float32Array(32) }],
      ['truncate', { kind: Kind.truncate, sequence: 1000, position: 0 }],
      ['cancel', { kind: Kind.cancel, sequence: 1000 }],
      ['attach', { kind: Kind.attach }],
      ['probe', { kind: Kind.probe }],
      ['ask for a confirmation', { kind: Kind.confirm, record: new Uint8Array(16) }],
      ['connect', { kind: Kind.connect, record: new Uint8Array(8) }]
    ]

    it('can neither inject, truncate, cancel nor close, and learns nothing', async () => {
      const peers = await stages()
      const session = await connectRoute({ node: await swarm.client(), addresses: peers.map(({ address }) => address), model: stubModel() })
      const reference = createLocalSession(createStubEngine({ from: 0, to: 6 }))
      for (const one of [session, reference]) await one.step({ tokens: ids(20) })
      const stranger = await swarm.client()
      for (const peer of peers) {
        const known = await rawLink(stranger, peer.address, session.id)
        const unknown = await rawLink(stranger, peer.address)
        for (const [name, frame] of frames) {
          const answers = []
          for (const raw of [known, unknown]) {
            raw.send(frame)
            answers.push(await raw.nextError())
          }
          expect(answers[0], name).to.deep.equal(answers[1])
          expect(answers[0].code).to.equal(ErrorCode.unknownSession)
        }
        // a close has no reply: what comes after it on the same stream shows that it was read
        known.send({ kind: Kind.close })
        known.send({ kind: Kind.probe })
        await known.nextError()
        expect(peer.node.sessions).to.equal(1)
        expect(peer.engine.sessionLength(1)).to.equal(20)
      }
      const request = { tokens: ids(5, 9), outputs: last(5) }
      expect(await session.step(request)).to.deep.equal(await reference.step(request))
    })

    it('cannot open the session anew', async () => {
      const peers = await stages()
      const session = await connectRoute({ node: await swarm.client(), addresses: peers.map(({ address }) => address), model: stubModel() })
      const raw = await rawLink(await swarm.client(), peers[0].address, session.id)
      raw.open({ range: { from: 0, to: 3 }, stages: 2, downstream: peers[1].node.peerId }, { epoch: 9 })
      expect(await raw.nextError()).to.include({ code: ErrorCode.busy })
      await session.step({ tokens: ids(2), outputs: last(2) })
    })
  })

  describe('a participant out of its role', () => {
    it('the client cannot step into the middle, nor the upstream truncate or close', async () => {
      const peers = await stages()
      const upstream = await swarm.client()
      const client = await swarm.client()
      // `upstream` is the stage before, under the test's control
      const fromClient = await rawLink(client, peers[1].address)
      const session = randomBytes(16).toString('hex')
      fromClient.open({ range: { from: 3, to: 6 }, stage: 2, stages: 2, upstream: upstream.peerId }, { session })
      await fromClient.next(Kind.opened)
      const fromUpstream = await rawLink(upstream, peers[1].address, session)
      const step = { kind: Kind.step, sequence: 1, rows: 1, hidden: new Float32Array(32) }
      fromUpstream.send(step)
      expect(await fromUpstream.nextError()).to.include({ code: ErrorCode.unknownSession })
      fromUpstream.send({ kind: Kind.attach, epoch: 2 })
      expect(await fromUpstream.nextError()).to.include({ code: ErrorCode.unknownSession })
      fromUpstream.send({ kind: Kind.attach })
      await fromUpstream.next(Kind.done)
      fromUpstream.send(step)
      expect((await fromClient.next(Kind.answer)).sequence).to.equal(1)
      fromClient.send({ ...step, session, sequence: 2, position: 1 })
      expect(await fromClient.nextError()).to.include({ code: ErrorCode.unknownSession })
      fromUpstream.send({ kind: Kind.close })
      for (const kind of [Kind.truncate, Kind.cancel, Kind.probe, Kind.connect]) {
        fromUpstream.send({ kind, ...(kind === Kind.connect ? { record: new Uint8Array(8) } : {}) })
        expect(await fromUpstream.nextError()).to.include({ code: ErrorCode.unknownSession })
      }
      expect(peers[1].engine.sessionLength(1)).to.equal(1)
    })

    it('another stream of the named upstream is no way in', async () => {
      const peers = await stages()
      const { session } = await rawRoute(await swarm.client(), ...peers)
      const again = await rawLink(peers[0].node, peers[1].address, session)
      again.send({ kind: Kind.attach })
      expect(await again.nextError()).to.include({ code: ErrorCode.unknownSession })
      again.send({ kind: Kind.step, rows: 1, hidden: new Float32Array(32) })
      expect(await again.nextError()).to.include({ code: ErrorCode.unknownSession })
    })
  })

  describe('frames of an old epoch', () => {
    it('are dropped, and the cache is kept', async () => {
      const peer = await swarm.peer(0, 6)
      const raw = await rawLink(await swarm.client(), peer.address)
      raw.open({ range: { from: 0, to: 6 } })
      await raw.next(Kind.opened)
      raw.send({ kind: Kind.step, sequence: 1, rows: 4, tokens: ids(4) })
      await raw.next(Kind.answer)
      raw.open({ range: { from: 0, to: 6 } }, { epoch: 2 })
      await raw.next(Kind.opened)
      raw.send({ kind: Kind.step, sequence: 2, epoch: 1, position: 0, rows: 1, tokens: ids(1) })
      raw.send({ kind: Kind.truncate, sequence: 2, epoch: 1, position: 0 })
      raw.send({ kind: Kind.step, sequence: 2, epoch: 2, position: 4, rows: 1, tokens: ids(1) })
      const answer = await raw.next(Kind.answer)
      expect([answer.epoch, answer.sequence, answer.position]).to.deep.equal([2, 2, 4])
      expect(peer.engine.sessionLength(1)).to.equal(5)
      raw.open({ range: { from: 0, to: 6 } }, { epoch: 2 })
      expect(await raw.nextError()).to.include({ code: ErrorCode.busy })
    })
  })

  describe('a client that wants a stage to connect to somebody', () => {
    interface Opening { raw: RawLink, nonce: Uint8Array, session: string, node: PeerNode }

    /** Opens only the first stage, naming `downstream`. */
    async function openFirst (peer: StubPeer, downstream: string, node?: PeerNode): Promise<Opening> {
      const session = randomBytes(16).toString('hex')
      const owner = node ?? await swarm.client()
      const raw = await rawLink(owner, peer.address, session)
      raw.open({ range: peer.engine.range, stages: 2, downstream })
      return { raw, nonce: decodeOpened((await raw.next(Kind.opened)).record!).nonce, session, node: owner }
    }

    async function madeUpPeer () {
      const key = await generateKeyPair('Ed25519')
      return { peerId: peerIdFromPrivateKey(key).toString(), sign: async (statement: Uint8Array) => encodeSigned({ statement, signature: await key.sign(statement) }) }
    }

    const statementFor = (opening: Opening, upstream: StubPeer, downstream: string, port: number): Statement => ({
      session: opening.session,
      epoch: 1,
      nonce: opening.nonce,
      client: opening.node.peerId,
      upstream: upstream.node.peerId,
      downstream,
      modelId: stubModel().modelId,
      range: { from: 3, to: 6 },
      addresses: [`/ip4/127.0.0.1/tcp/${port}`]
    })

    it('is refused before any packet: no statement, another signer, a changed statement', async () => {
      const peer = await swarm.peer(0, 3)
      const stranger = await swarm.peer(3, 6)
      const target = await victim()
      const own = await madeUpPeer()
      for (const forge of [
        async () => new Uint8Array(0),
        // the stranger's PeerId, signed by a key of the client's own
        async (opening: Opening) => await own.sign(encodeStatement(statementFor(opening, peer, stranger.node.peerId, target.port))),
        // no signature at all
        async (opening: Opening) => encodeSigned({ statement: encodeStatement(statementFor(opening, peer, stranger.node.peerId, target.port)), signature: new Uint8Array(64) })
      ]) {
        const opening = await openFirst(peer, stranger.node.peerId)
        opening.raw.send({ kind: Kind.connect, record: await forge(opening) })
        expect(await opening.raw.nextError()).to.include({ code: ErrorCode.confirmation, peer: peer.node.peerId })
      }
      expect(target.connections()).to.equal(0)
      expect(startedNode(stranger.node).libp2p.getConnections()).to.have.length(0)
    })

    it('cannot change the addresses, the session or anything else that was signed', async () => {
      const [first, second] = await stages()
      const other = await swarm.peer(0, 3)
      const target = await victim()
      const node = await swarm.client()
      const { confirmation } = await rawRoute(node, first, second)
      const signed = decodeSigned(confirmation)
      const statement = decodeStatement(signed.statement)
      expect(statement.addresses).to.deep.equal([second.address.replace(/\/p2p\/.*/, '')])
      // the true confirmation with another address in it: the signature breaks
      const addresses = [`/ip4/127.0.0.1/tcp/${target.port}`]
      for (const [reason, change] of [
        ['another opening', {}],
        ['not by the downstream', { addresses }],
        ['another session', { session: 'ff'.repeat(16) }],
        ['another epoch', { epoch: 2 }],
        ['another client', { client: other.node.peerId }],
        ['another upstream', { upstream: other.node.peerId }],
        ['another downstream', { downstream: other.node.peerId }],
        ['another modelId', { modelId: 'ab'.repeat(32) }],
        ['starts at unit 4', { range: { from: 4, to: 6 } }]
      ] as Array<[string, Partial<Statement>]>) {
        const opening = await openFirst(first, second.node.peerId, node)
        const own = reason === 'another opening' ? {} : { nonce: opening.nonce, session: opening.session }
        const record = encodeSigned({ statement: encodeStatement({ ...statement, ...own, ...change }), signature: signed.signature })
        opening.raw.send({ kind: Kind.connect, record })
        const error = await opening.raw.nextError()
        expect(error.code, reason).to.equal(ErrorCode.confirmation)
        expect(error.message).to.contain(reason)
        await opening.raw.link.close()
      }
      expect(target.connections()).to.equal(0)
    })

    it('cannot use a confirmation twice', async () => {
      const [first, second] = await stages()
      const { links, confirmation } = await rawRoute(await swarm.client(), first, second)
      links[0].send({ kind: Kind.connect, record: confirmation })
      const error = await links[0].nextError()
      expect(error).to.include({ code: ErrorCode.confirmation })
      expect(error.message).to.contain('used already')
    })

    it('cannot use a confirmation given for another upstream', async () => {
      const [first, second] = await stages()
      const other = await swarm.peer(0, 3)
      const node = await swarm.client()
      const opening = await openFirst(other, second.node.peerId, node)
      // the downstream is told that `first` comes before it
      const raw = await rawLink(node, second.address, opening.session)
      raw.open({ range: { from: 3, to: 6 }, stage: 2, stages: 2, upstream: first.node.peerId })
      await raw.next(Kind.opened)
      raw.send({ kind: Kind.confirm, record: opening.nonce })
      opening.raw.send({ kind: Kind.connect, record: (await raw.next(Kind.confirmed)).record })
      const error = await opening.raw.nextError()
      expect(error.message).to.contain('another upstream')
      expect(startedNode(other.node).libp2p.getConnections().map(connection => connection.remotePeer.toString())).to.not.contain(second.node.peerId)
    })

    it('gets one bare connection for a peer it made up, none where the stage connects only to peers it knows', async () => {
      const target = await victim()
      for (const [dialPolicy, connections, code] of [['known', 0, ErrorCode.dial], ['confirmed', 1, ErrorCode.peerLost]] as const) {
        const peer = await swarm.peer(0, 3, { dialPolicy })
        const own = await madeUpPeer()
        const opening = await openFirst(peer, own.peerId)
        const record = await own.sign(encodeStatement(statementFor(opening, peer, own.peerId, target.port)))
        opening.raw.send({ kind: Kind.connect, record })
        expect(await opening.raw.nextError()).to.include({ code })
        expect(target.connections()).to.equal(connections)
      }
    })

    it('has a budget of connections', async () => {
      const target = await victim()
      const peer = await swarm.peer(0, 3, { limits: { dialsPerClientAndMinute: 2 } })
      const node = await swarm.client()
      const errors = []
      for (let turn = 0; turn < 4; turn++) {
        const own = await madeUpPeer()
        const opening = await openFirst(peer, own.peerId, node)
        opening.raw.send({ kind: Kind.connect, record: await own.sign(encodeStatement(statementFor(opening, peer, own.peerId, target.port))) })
        errors.push((await opening.raw.nextError()).code)
      }
      expect(errors).to.deep.equal([ErrorCode.peerLost, ErrorCode.peerLost, ErrorCode.dial, ErrorCode.dial])
      expect(target.connections()).to.equal(2)
    })

    it('works without a new connection where a stage knows its neighbour', async () => {
      const second = await swarm.peer(3, 6)
      const first = await swarm.peer(0, 3, { dialPolicy: 'known', join: [second.address] })
      await first.event('peer:join')
      const { links } = await rawRoute(await swarm.client(), first, second)
      links[0].send({ kind: Kind.step, sequence: 1, rows: 2, tokens: ids(2) })
      expect((await links[1].next(Kind.answer)).sequence).to.equal(1)
    })
  })
})
