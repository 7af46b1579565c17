import { expect } from 'chai'
import { catalogue } from '../../../src/model/pull/index.ts'
import { readListedFile, selectFiles, shardNames } from '../../../src/model/pull/hub-listing.ts'
import { checkRevision, isRepository, isSafePath, parseReference } from '../../../src/model/pull/reference.ts'

describe('pull: names', () => {
  it('refuses malformed hub names', () => {
    for (const text of [
      'hf:', 'hf:owner', 'hf:owner/repo/more', 'hf:../repo', 'hf:owner/..', 'hf:owner/a..b', 'hf:owner/repo@', 'hf:owner/repo:', 'hf:owner/repo@-x',
      'hf:owner/repo@a/../../b', 'hf:owner/repo:../x.gguf', 'hf:owner/repo:/x.gguf', 'hf:owner/repo:model.bin', 'hf:owner/repo:a\\b.gguf', ''
    ]) {
      expect(() => parseReference(text), text).to.throw().with.property('code', 'ERR_MODEL_REFERENCE')
    }
    expect(() => checkRevision('x', '../main')).to.throw().with.property('code', 'ERR_MODEL_REFERENCE')
  })

  it('reads repository, revision and file', () => {
    expect(parseReference('hf:owner/repo')).to.deep.equal({ kind: 'hub', hub: { repository: 'owner/repo' } })
    expect(parseReference('hf:owner/repo@refs/pr/1')).to.deep.equal({ kind: 'hub', hub: { repository: 'owner/repo', revision: 'refs/pr/1' } })
    expect(parseReference('hf:o/r@v1.0:sub/m-Q4_0.gguf')).to.deep.equal({ kind: 'hub', hub: { repository: 'o/r', revision: 'v1.0', file: 'sub/m-Q4_0.gguf' } })
  })

  it('tells catalogue, path and word apart', () => {
    expect(parseReference('SOTU-4m')).to.have.nested.property('entry.name', 'sotu-4m')
    expect(parseReference('./sotu-4m')).to.deep.equal({ kind: 'path', path: './sotu-4m' })
    expect(parseReference('models/sotu-4m')).to.deep.equal({ kind: 'path', path: 'models/sotu-4m' })
    expect(parseReference('x.gguf')).to.deep.equal({ kind: 'path', path: 'x.gguf' })
    expect(parseReference('something')).to.deep.equal({ kind: 'word', word: 'something' })
  })

  it('takes only paths that stay below their folder', () => {
    for (const path of ['', '.', '..', 'a/..', '../a', '/a', 'a//b', 'a\\b', 'C:a', 'a\0b', 'a/./b', 'x'.repeat(2000)]) expect(isSafePath(path), path).to.equal(false)
    for (const path of ['a', 'a/b.gguf', '..a', 'model-00001-of-00002.safetensors']) expect(isSafePath(path), path).to.equal(true)
  })

  it('has a catalogue of unique, lower-case names whose sources are well formed', () => {
    expect(new Set(catalogue.map(entry => entry.name)).size).to.equal(catalogue.length)
    for (const entry of catalogue) {
      expect(entry.name).to.match(/^[a-z0-9._-]+$/)
      expect(entry.packaged ?? entry.hub ?? entry.pip, entry.name).to.not.equal(undefined)
      if (entry.hub !== undefined) expect(isRepository(entry.hub.repository), entry.name).to.equal(true)
      if (entry.hub?.file !== undefined) expect(isSafePath(entry.hub.file), entry.name).to.equal(true)
      if (entry.pip !== undefined) expect(entry.pip.sha256).to.match(/^[0-9a-f]{64}$/)
    }
  })
})

describe('pull: listings of the hub', () => {
  const git = 'a'.repeat(40)
  const large = 'b'.repeat(64)
  const file = (path: string): { type: string, path: string, size: number, oid: string } => ({ type: 'file', path, size: 1, oid: git })
  const read = (...paths: string[]): any[] => paths.map(path => readListedFile('o/r', file(path)))

  it('refuses entries that lie', () => {
    for (const entry of [
      { ...file('../../etc/passwd') }, { ...file('/a') }, { ...file('a'), path: 7 },
      { ...file('a'), size: -1 }, { ...file('a'), size: 1.5 }, { ...file('a'), size: '1' }, { ...file('a'), size: 2 ** 60 },
      { ...file('a'), oid: '../x' }, { ...file('a'), oid: undefined }, { ...file('a'), lfs: { oid: git, size: 1 } },
      { ...file('a'), lfs: { oid: large, size: -1 } }
    ]) {
      expect(() => readListedFile('o/r', entry), JSON.stringify(entry)).to.throw().with.property('code', 'ERR_HUB_RESPONSE')
    }
  })

  it('passes over folders and what is no entry', () => {
    for (const entry of [null, 1, 'x', {}, { type: 'directory', path: '../x' }]) expect(readListedFile('o/r', entry)).to.equal(undefined)
  })

  it('takes size and checksum of large files from their own record', () => {
    expect(readListedFile('o/r', { ...file('m.gguf'), lfs: { oid: large, size: 5 } })).to.deep.equal({
      path: 'm.gguf', byteLength: 5, checksum: { algorithm: 'sha256', digest: large }
    })
  })

  it('says what a repository lacks', () => {
    const refuses = (paths: string[], wanted: string | undefined, words: RegExp): void => {
      expect(() => selectFiles('o/r', read(...paths), wanted)).to.throw(words).with.property('code', 'ERR_UNUSABLE_REPOSITORY')
    }
    refuses(['README.md', 'pytorch_model.bin', 'config.json'], undefined, /neither config\.json with safetensors nor a GGUF file/)
    refuses(['config.json', 'model.safetensors'], undefined, /no tokenizer\.json/)
    refuses(['a.gguf', 'b.gguf'], undefined, /say which.*a\.gguf, b\.gguf/)
    refuses(['a.gguf'], 'c.gguf', /no file c\.gguf; there are: a\.gguf/)
  })

  it('chooses only what a model needs', () => {
    const paths = (selection: { path: string }[]): string[] => selection.map(one => one.path)
    const all = read('README.md', 'config.json', 'model.safetensors', 'pytorch_model.bin', 'tokenizer.json', 'tokenizer_config.json', 'generation_config.json', 'x.gguf')
    const chosen = selectFiles('o/r', all)
    expect(paths(chosen.description)).to.deep.equal(['config.json', 'tokenizer.json', 'generation_config.json', 'tokenizer_config.json'])
    expect(paths(chosen.weights)).to.deep.equal(['model.safetensors'])
    expect(paths(selectFiles('o/r', read('config.json', 'x.gguf')).weights)).to.deep.equal(['x.gguf'])
    expect(selectFiles('o/r', all, 'x.gguf')).to.deep.equal({ description: [], weights: [all[7]] })
  })

  it('reads the shards of an index, and nothing that is none', () => {
    for (const text of ['', 'null', '{}', '{"weight_map":{}}', '{"weight_map":{"a":"../x.safetensors"}}', '{"weight_map":{"a":"x.bin"}}', '{"weight_map":{"a":1}}']) {
      expect(shardNames(text), text).to.equal(undefined)
    }
    expect(shardNames('{"weight_map":{"a":"2.safetensors","b":"1.safetensors","c":"2.safetensors"}}')).to.deep.equal(['1.safetensors', '2.safetensors'])
  })
})
