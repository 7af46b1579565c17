import { expect } from 'chai'
import { join, resolve } from 'node:path'
import { cacheDirectory, dataDirectory } from '../../../src/model/data-directory.ts'

describe('data directory', () => {
  it('ignores relative and empty XDG variables, as the specification says', () => {
    expect(dataDirectory({ HOME: '/h', XDG_DATA_HOME: 'relative' })).to.equal(join('/h', '.local/share', 'efedllm'))
    expect(cacheDirectory({ HOME: '/h', XDG_CACHE_HOME: '' })).to.equal(join('/h', '.cache', 'efedllm'))
  })

  it('follows XDG variables', () => {
    expect(dataDirectory({ HOME: '/h', XDG_DATA_HOME: '/d' })).to.equal(join('/d', 'efedllm'))
    expect(cacheDirectory({ HOME: '/h', XDG_CACHE_HOME: '/c' })).to.equal(join('/c', 'efedllm'))
  })

  it('puts everything below the one variable that overrides', () => {
    const environment = { HOME: '/h', XDG_DATA_HOME: '/d', XDG_CACHE_HOME: '/c', EFEDLLM_DATA_DIR: 'own' }
    expect(dataDirectory(environment)).to.equal(resolve('own'))
    expect(cacheDirectory(environment)).to.equal(join(resolve('own'), 'cache'))
  })
})
