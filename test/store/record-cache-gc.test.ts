/**
 * The cache makes no garbage: ten million operations in a child process that prints every collection, and no line between the
 * marks. A second child with a cache that allocates on purpose proves that the test would see one.
 */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { collectionsBetweenMarks } from '../fakes/collections.js'
import { type Compiled, changed, compile } from '../fakes/compiled.js'

const CHILD = fileURLToPath(new URL('record-cache-gc-child.mjs', import.meta.url))
const HEAD = 'find(key, keyBytes, place, tag) {'
let plain: Compiled
let wasteful: Compiled

function waste(path: string, source: string): string {
  if (path !== 'store/record-cache.js') return source
  return source.replace(HEAD, `${HEAD} globalThis.garbage = [place, tag, {}];`)
}

beforeAll(() => {
  plain = compile(['store/record-cache.ts'])
  wasteful = changed(plain, waste)
})
afterAll(() => {
  plain.remove()
  wasteful.remove()
})

const collectionsIn = (compiled: Compiled, operations: number) =>
  collectionsBetweenMarks([CHILD, compiled.url('store/record-cache.js'), String(operations)])

test('ten million operations without a garbage collection', () => {
  const { marks, collections } = collectionsIn(plain, 10_000_000)
  expect(marks).toEqual(['BEGIN', 'END'])
  expect(collections).toEqual([])
}, 240_000)

test('a cache that allocates is seen', () => {
  expect(collectionsIn(wasteful, 1_000_000).collections.length).toBeGreaterThan(0)
})
