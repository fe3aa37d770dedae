/**
 * Gets and sets of a store in memory make no garbage: millions of them in a child process that prints every collection. A
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

const collectionsIn = (compiled: Compiled, mode: string, operations: number) =>
  collectionsBetweenMarks([CHILD, compiled.url('store/index.js'), mode, String(operations)])

// A set also makes slabs, stages and zones now and then, which have a few objects each: 0.65 MB in a million sets, where a
// collection comes with the first megabyte. Half a million shows that sets have none: 16 bytes each would be eight megabytes.
test.each([
  ['get', 3],
  ['set', 0.5],
])(
  '%s: %d million without a garbage collection',
  (mode, millions) => {
    const { marks, collections } = collectionsIn(plain, mode, millions * 1e6)
    expect(marks).toEqual(['BEGIN', 'END ok'])
    expect(collections).toEqual([])
  },
  300_000,
)

test('a store that allocates is seen', () => {
  expect(collectionsIn(wasteful, 'get', 1e6).collections.length).toBeGreaterThan(0)
}, 300_000)
