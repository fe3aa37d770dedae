/**
 * Keys are hashed and the index is searched and changed without garbage: ten million operations in a child process that prints
 * every collection, and no line between the marks. A second child that allocates on purpose proves that the test would see one.
 */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { collectionsBetweenMarks } from '../fakes/collections.js'
import { type Compiled, changed, compile } from '../fakes/compiled.js'

const CHILD = fileURLToPath(new URL('object-index-gc-child.mjs', import.meta.url))
const HEAD = 'isStale(page) {'
let plain: Compiled
let wasteful: Compiled

function waste(path: string, source: string): string {
  if (path !== 'store/index-zones.js') return source
  return source.replace(HEAD, `${HEAD} globalThis.garbage = [page, {}];`)
}

beforeAll(() => {
  plain = compile(['store/object-index.ts', 'store/key-hash.ts'])
  wasteful = changed(plain, waste)
})
afterAll(() => {
  plain.remove()
  wasteful.remove()
})

const collectionsIn = (compiled: Compiled, rounds: number) =>
  collectionsBetweenMarks([
    CHILD,
    compiled.url('store/object-index.js'),
    compiled.url('store/key-hash.js'),
    String(rounds),
  ])

test('ten million operations without a garbage collection', () => {
  const { marks, collections } = collectionsIn(plain, 1_000_000)
  expect(marks).toEqual(['BEGIN 0', 'END 0'])
  expect(collections).toEqual([])
})

test('an index that allocates is seen', () => {
  expect(collectionsIn(wasteful, 100_000).collections.length).toBeGreaterThan(0)
})
