/**
 * Sets and gets of a store in memory make no garbage: ten million of them in a child process that prints every collection. A
 * store that allocates on purpose proves that it would be seen.
 */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { collectionsBetweenMarks } from '../fakes/collections.js'
import { type Compiled, changed, compile } from '../fakes/compiled.js'

const CHILD = fileURLToPath(new URL('store-gc-child.mjs', import.meta.url))
const HEAD = 'getInto(key, target) {'
let plain: Compiled
let wasteful: Compiled

function waste(path: string, source: string): string {
  return path === 'store/store.js'
    ? source.replace(HEAD, `${HEAD} globalThis.garbage = [key, target, {}];`)
    : source
}

beforeAll(() => {
  plain = compile(['store'])
  wasteful = changed(plain, waste)
})
afterAll(() => {
  plain.remove()
  wasteful.remove()
})

const collectionsIn = (compiled: Compiled, operations: number) =>
  collectionsBetweenMarks([CHILD, compiled.url('store/index.js'), String(operations)])

test('ten million operations without a garbage collection', () => {
  const { marks, collections } = collectionsIn(plain, 1e7)
  expect(marks).toEqual(['BEGIN', 'END ok'])
  expect(collections).toEqual([])
}, 300_000)

test('a store that allocates is seen', () => {
  expect(collectionsIn(wasteful, 1e6).collections.length).toBeGreaterThan(0)
})
