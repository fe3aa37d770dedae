/**
 * The progress line: quiet for a second and without a terminal, and never a number cut in half, however narrow it is.
 */
import { expect, test } from 'vitest'
import type { Io } from '../../cli/io.js'
import { ProgressLine } from '../../cli/progress.js'

function drawn(columns: number | undefined, errIsTerminal = true): string[] {
  const lines: string[] = []
  let nowMs = 0
  const err = (text: string) => void lines.push(text.replace('\r\u001b[K', ''))
  const progress = new ProgressLine({ columns, errIsTerminal, err, nowMs: () => nowMs } as Io)
  for (nowMs = 0; nowMs <= 4000; nowMs += 250) {
    progress.share('filling', nowMs * 100, 1_000_000, 'objects')
  }
  return lines
}

test('nothing is drawn where nobody looks, nor in the first second', () => {
  expect(drawn(80, false)).toEqual([])
  expect(drawn(80)).toHaveLength(13)
})

test('all of it in 80 columns', () => {
  const line = 'filling ██████████░░░░░░░░░░░░░░ 40%  400k of 1M, 100k objects/s, 6s left'
  expect(drawn(undefined).at(-1)).toBe(line)
  expect(drawn(80).at(-1)).toBe(line)
})

test('in fewer columns less of it, in whole parts', () => {
  const full = drawn(200).at(-1)!
  const rest = full.slice(full.indexOf(' 40%'))
  const ends = ['', ', 6s left', ', 100k objects/s', ', 100k objects/s, 6s left']
  for (let columns = 24; columns < 200; columns++) {
    const line = drawn(columns).at(-1)!
    expect(line.length, `${columns} columns`).toBeLessThan(columns)
    expect(line).toMatch(/^filling █+░+ 40%/)
    const beside = line.slice(line.indexOf(' 40%'))
    const isWhole = beside === rest || beside === ' 40%'
    const isPart = ends.some(end => [` 40%  400k of 1M${end}`, ` 40%${end}`].includes(beside))
    expect(isWhole || isPart, line).toBe(true)
  }
})

test('the rate is of what is counted now', () => {
  const lines: string[] = []
  let nowMs = 0
  const err = (text: string) => void lines.push(text)
  const progress = new ProgressLine({
    errIsTerminal: true,
    err,
    nowMs: () => nowMs,
  } as unknown as Io)
  nowMs = 60_000
  progress.begin()
  nowMs = 62_000
  progress.share('get', 1000, 4000, 'operations')
  expect(lines.join('')).toContain('1k of 4k, 500 operations/s, 6s left')
})
