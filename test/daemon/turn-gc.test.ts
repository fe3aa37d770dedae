/**
 * A turn makes no garbage: ten million turns of a real planner in a child process that prints every collection, and a million of
 * each of the ways in which requests wait or are recorded, which is enough to see an object a turn. A planner that allocates on
 * purpose proves it.
 */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { collectionsBetweenMarks } from '../fakes/collections.js'
import { type Compiled, changed, compile } from '../fakes/compiled.js'

const CHILD = fileURLToPath(new URL('turn-gc-child.mjs', import.meta.url))
const HEAD = 'add(kind, tag, result, bytes) {'
let plain: Compiled
let wasteful: Compiled

function waste(path: string, source: string): string {
  return path === 'daemon/commands.js'
    ? source.replace(HEAD, `${HEAD} globalThis.garbage = [tag, result, {}];`)
    : source
}

beforeAll(() => {
  plain = compile(['daemon'])
  wasteful = changed(plain, waste)
})
afterAll(() => {
  plain.remove()
  wasteful.remove()
})

const collectionsIn = (compiled: Compiled, mode: string, turns: number) =>
  collectionsBetweenMarks([CHILD, compiled.url(''), mode, String(turns)])

test.each([
  ['plain', 10],
  ['latency', 1],
  ['delays', 1],
  ['recorded', 1],
])('%s: %i million turns without a garbage collection', (mode, millions) => {
  const { marks, collections } = collectionsIn(plain, mode, millions * 1e6)
  expect(marks).toEqual(['BEGIN ok', 'END ok'])
  expect(collections).toEqual([])
})

test('a planner that allocates is seen', () => {
  expect(collectionsIn(wasteful, 'plain', 1e6).collections.length).toBeGreaterThan(0)
})
