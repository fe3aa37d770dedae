/**
 * The data path makes no garbage: ten million decisions in a child process that prints every collection, and no line
 * between the marks. A second child that allocates on purpose proves that the test would see one.
 */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { collectionsBetweenMarks } from '../fakes/collections.js'
import { type Compiled, changed, compile } from '../fakes/compiled.js'

const CHILD = fileURLToPath(new URL('hot-path-gc-child.mjs', import.meta.url))
const HEAD = 'export function admitRead(table, zone, offsetSectors, countSectors) {'
let plain: Compiled
let wasteful: Compiled

function waste(path: string, source: string): string {
  if (path !== 'zone-model/data-path.js') return source
  return source.replace(HEAD, `${HEAD} globalThis.garbage = [zone, offsetSectors, {}];`)
}

beforeAll(() => {
  plain = compile(['zone-model'])
  wasteful = changed(plain, waste)
})
afterAll(() => {
  plain.remove()
  wasteful.remove()
})

const collectionsIn = (compiled: Compiled) =>
  collectionsBetweenMarks([CHILD, compiled.url('zone-model/index.js')])

test('ten million decisions without a garbage collection', () => {
  const { marks, collections } = collectionsIn(plain)
  expect(marks).toEqual(['BEGIN 0', 'END 0'])
  expect(collections).toEqual([])
})

test('a data path that allocates is seen', () => {
  expect(collectionsIn(wasteful).collections.length).toBeGreaterThan(0)
})
