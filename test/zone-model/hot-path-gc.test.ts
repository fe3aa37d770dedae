/**
 * The data path makes no garbage: ten million decisions in a child process that prints every collection, and no line
 * between the marks. A second child that allocates on purpose proves that the test would see one.
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type CompiledModel, compileModel } from './compiled.js'

const CHILD = fileURLToPath(new URL('hot-path-gc-child.mjs', import.meta.url))
let plain: CompiledModel
let wasteful: CompiledModel

beforeAll(() => {
  plain = compileModel()
  wasteful = compileModel((file, source) =>
    file === 'data-path.js'
      ? source.replace(
          'export function admitRead(table, zone, offsetSectors, countSectors) {',
          match => `${match} globalThis.garbage = [zone, offsetSectors, {}];`,
        )
      : source,
  )
})
afterAll(() => {
  plain.remove()
  wasteful.remove()
})

function collectionsIn(compiled: CompiledModel): { marks: string[]; collections: string[] } {
  const output = execFileSync(process.execPath, ['--trace-gc', CHILD, compiled.url], {
    encoding: 'utf8',
  })
  const lines = output.split('\n')
  const begin = lines.findIndex(line => line.startsWith('BEGIN'))
  const end = lines.findIndex(line => line.startsWith('END'))
  expect(begin).toBeGreaterThanOrEqual(0)
  expect(end).toBeGreaterThan(begin)
  const collections = lines.slice(begin + 1, end).filter(line => /Scavenge|Mark-Compact/.test(line))
  return { marks: [lines[begin]!, lines[end]!], collections }
}

test('ten million decisions without a garbage collection', () => {
  const { marks, collections } = collectionsIn(plain)
  expect(marks).toEqual(['BEGIN 0', 'END 0'])
  expect(collections).toEqual([])
})

test('a data path that allocates is seen', () => {
  expect(collectionsIn(wasteful).collections.length).toBeGreaterThan(0)
})
