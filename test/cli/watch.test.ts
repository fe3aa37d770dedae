/**
 * What `zslab stats --watch` draws over has to fit the screen: a line too many scrolls, and the old text stays above.
 */
import { expect, it } from 'vitest'
import { formatStats } from '../../cli/stats.js'
import { statsOf } from './samples.js'

const sample = (busyZones: number) => {
  const stats = statsOf(1234)
  const perZone = Array.from({ length: busyZones }, (_, zone) => ({
    ...stats.perZone[0]!,
    zone,
    writes: 1 + zone,
    resets: 0,
    writtenBytes: 4096 * (1 + zone),
  }))
  return { stats: { ...stats, perZone }, atMs: 1000 }
}
const lines = (rows: number | undefined, busyZones: number): number =>
  formatStats(sample(busyZones), { ...sample(busyZones), atMs: 0 }, rows)
    .trimEnd()
    .split('\n').length

it.each([24, 25, 30, 40, 100])('fits %i rows, however many zones are busy', rows => {
  for (const busyZones of [0, 1, 4, 10, 11, 64]) expect(lines(rows, busyZones)).toBeLessThan(rows)
})

it('shows ten busy zones where there is room, and says how many more there are', () => {
  const text = formatStats(sample(64), null)
  expect(text).toContain('and 54 more (--json has all)')
  expect(lines(100, 64)).toBe(lines(undefined, 64))
})
