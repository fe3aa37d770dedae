/**
 * A turn makes no garbage: ten million turns of a real planner in a child process that prints every collection, and three million
 * of each of the ways in which requests wait or are recorded. A planner that allocates on purpose proves that the test would see it.
 */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { collectionsBetweenMarks } from '../fakes/collections.js'
import { type Compiled, compile } from '../fakes/compiled.js'

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
  wasteful = compile(['daemon'], { transform: waste })
})
afterAll(() => {
  plain.remove()
  wasteful.remove()
})

const collectionsIn = (compiled: Compiled, mode: string, turns: number) =>
  collectionsBetweenMarks([CHILD, compiled.url(''), mode, String(turns)])

test.each([
  ['plain', 10],
  ['latency', 3],
  ['delays', 3],
  ['recorded', 3],
])('%s: %i million turns without a garbage collection', (mode, millions) => {
  const { marks, collections } = collectionsIn(plain, mode, millions * 1e6)
  expect(marks).toEqual(['BEGIN ok', 'END ok'])
  expect(collections).toEqual([])
})

test('a planner that allocates is seen', () => {
  expect(collectionsIn(wasteful, 'plain', 1e6).collections.length).toBeGreaterThan(0)
})
