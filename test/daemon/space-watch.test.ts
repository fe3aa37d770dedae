/**
 * What the log says of a device without memory: once when it begins, once when it is over, also when nobody looked between.
 */
import { beforeEach, expect, it } from 'vitest'
import { SpaceWatch, type Watched } from '../../daemon/space-watch.js'

const MIB = 1024 * 1024
const LIMIT = 8 * MIB

let lines: string[]
let watch: SpaceWatch
let noSpaceWrites: number
let usedBytes: number

const device = (memoryLimitBytes = LIMIT): Watched => ({
  id: 7,
  memoryLimitBytes,
  noSpaceWrites: () => noSpaceWrites,
  usedBytes: () => usedBytes,
})

beforeEach(() => {
  lines = []
  noSpaceWrites = 0
  usedBytes = 0
  const write = (level: string) => (fields: unknown, message?: string) =>
    void lines.push(`${level} ${JSON.stringify(fields)} ${message}`)
  watch = new SpaceWatch({ warn: write('warn'), info: write('info') } as never)
})

it('a device that is full but refuses nothing is not mentioned', () => {
  watch.add(device())
  usedBytes = LIMIT
  watch.look()
  expect(lines).toEqual([])
})

it('one line for all writes of an episode, one when a reset has made room, and again the next time', () => {
  watch.add(device())
  for (const count of [1, 5, 90]) {
    noSpaceWrites = count
    usedBytes = LIMIT
    watch.look()
  }
  watch.look()
  expect(lines).toEqual([
    `warn {"device":7,"memoryLimitBytes":${LIMIT},"usedBytes":${LIMIT}} ` +
      'the device has reached its memory limit: writes get ENOSPC until zones are reset',
  ])
  usedBytes = LIMIT - 4096
  watch.look()
  watch.look()
  expect(lines.slice(1)).toEqual([
    `info {"device":7,"noSpaceWrites":90,"usedBytes":${LIMIT - 4096}} the device has memory for data again`,
  ])
  noSpaceWrites = 91
  usedBytes = LIMIT
  watch.look()
  expect(lines[2]).toMatch(/^warn .* has reached its memory limit/)
})

it('an episode that began and ended between two looks is two lines', () => {
  watch.add(device())
  noSpaceWrites = 3
  usedBytes = MIB
  watch.look()
  expect(lines.map(line => line.slice(0, 4))).toEqual(['warn', 'info'])
  expect(lines[1]).toContain('"noSpaceWrites":3')
})

it('a write that is larger than the little room that is left does not end the episode', () => {
  watch.add(device())
  usedBytes = LIMIT - 64 * 1024
  for (noSpaceWrites = 1; noSpaceWrites < 4; noSpaceWrites++) watch.look()
  expect(lines.length).toBe(1)
})

it('without a limit it is the memory of the machine that has run out', () => {
  watch.add(device(0))
  noSpaceWrites = 1
  usedBytes = 100 * MIB
  watch.look()
  expect(lines).toEqual([expect.stringContaining('there is no memory left for the data')])
  usedBytes = 99 * MIB
  watch.look()
  expect(lines[1]).toContain('again')
})

it('what happened before a device was taken over is old; what happens just before it is deleted is not lost', () => {
  noSpaceWrites = 12
  watch.add(device())
  watch.look()
  expect(lines).toEqual([])
  noSpaceWrites = 13
  usedBytes = LIMIT
  watch.remove(7)
  expect(lines.length).toBe(1)
  noSpaceWrites = 14
  watch.look()
  expect(lines.length).toBe(1)
})
