/**
 * The picture of `zslab store map`, and the quantities that its verbs read and print.
 */
import { expect, it } from 'vitest'
import { Latencies } from '../../cli/latencies.js'
import { formatTime, parseCount, parseTime } from '../../cli/quantities.js'
import { formatMap, mapOf } from '../../cli/store-map.js'
import type { ZoneView } from '../../store/index.js'

const view = (zone: number, some: Partial<ZoneView>): ZoneView => ({
  ...{ zone, lifetimeClass: 0, ttlAboveMs: 0, ttlUpToMs: 60_000, state: 'sealed', pages: 256 },
  ...{ pagesUsed: 256, records: 100, liveRecords: 100, lastDeadlineMs: 0, leftMs: 30_000 },
  ...some,
})

const VIEWS = [
  view(0, { state: 'open', pagesUsed: 32, leftMs: 60_000 }),
  view(1, { leftMs: 20_000, liveRecords: 30 }),
  view(2, { leftMs: 10_000, liveRecords: 0 }),
  view(4, { lifetimeClass: 3, ttlAboveMs: 60_000, ttlUpToMs: 3_600_000, pagesUsed: 200 }),
  ...[7, 8, 9].map(zone =>
    view(zone, { lifetimeClass: 9, ttlAboveMs: Infinity, ttlUpToMs: Infinity, leftMs: Infinity }),
  ),
]
const MAP = mapOf('/srv/store', VIEWS, { total: 16, free: 9 }, 2 ** 20)

it('draws a row for each class, soonest reset first, the open zone last', () => {
  expect(formatMap(MAP, 80, false).split('\n').slice(0, 9)).toEqual([
    '/srv/store: 16 zones of 1 MiB, 7 in use, 9 free',
    '',
    'CLASS  TTL       ZONES  RESET IN',
    '    0  up to 1m  ██▁    10s to 1m',
    '                 ·▒█',
    '    3  1m to 1h  ▇      30s',
    '                 █',
    '    9  no TTL    ███    never',
    '                 ███',
  ])
})

it('is one line a class where there are colours, and never wider than the terminal', () => {
  const lines = formatMap(MAP, 80, true).split('\n')
  expect(lines[3]).toBe(
    '    0  up to 1m  \u001b[38;5;240m█\u001b[38;5;208m█\u001b[38;5;40m▁\u001b[0m    10s to 1m',
  )
  expect(lines[4]).toMatch(/^ {4}3 /)
  const many = Array.from({ length: 300 }, (_, zone) => view(zone, {}))
  const wide = formatMap(mapOf('/x', many, { total: 300, free: 0 }, 2 ** 20), 80, false)
  expect(Math.max(...wide.split('\n').map(line => line.length))).toBeLessThan(80)
  expect(wide.match(/█/g)!.length).toBeGreaterThanOrEqual(600)
})

it('has nothing to draw for an empty store', () => {
  const empty = mapOf('/x', [], { total: 8, free: 8 }, 2 ** 20)
  expect(formatMap(empty, 80, false)).toBe('/x: 8 zones of 1 MiB, 0 in use, 8 free\n')
})

it('reads and writes times and counts', () => {
  expect(['250ms', '90s', '5m', '1.5h', '7d'].map(parseTime)).toEqual([
    ...[250, 90_000, 300_000, 5_400_000, 604_800_000],
  ])
  for (const bad of ['90', '5 m', '-1s', '', 's', '1w']) expect(parseTime(bad)).toBeNaN()
  expect(['500', '10k', '2.5M', '1G'].map(parseCount)).toEqual([500, 10_000, 2_500_000, 1e9])
  for (const bad of ['1.5', '-1', '10x', '']) expect(parseCount(bad)).toBeNaN()
  const times = [20, 1500, 9999, 59_999, 90_000, 3_600_000, 3_660_000, 90_000_000, Infinity]
  expect(times.map(formatTime)).toEqual([
    ...['20ms', '1.5s', '10s', '1m', '1m 30s', '1h', '1h 1m', '1d 1h', 'never'],
  ])
})

it('percentiles are at most a bucket off', () => {
  const latencies = new Latencies()
  expect(latencies.percentile(0.5)).toBe(0)
  for (let ns = 1; ns <= 100_000; ns++) latencies.note(ns)
  for (const share of [0.01, 0.5, 0.9, 0.99, 0.999, 1]) {
    const exact = share * 100_000
    expect(latencies.percentile(share)).toBeGreaterThanOrEqual(exact)
    expect(latencies.percentile(share)).toBeLessThanOrEqual(exact * 1.04)
  }
  expect(latencies.max).toBe(100_000)
})
