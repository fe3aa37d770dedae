/**
 * Marks of a zone that leaves go into the lists of the next commit if their copies may be found again, and no others do.
 */
import { expect, test } from 'vitest'
import { NOW } from '../../store/cells.js'
import { LeavingZones } from '../../store/leaving-zones.js'
import { LifetimeClasses } from '../../store/lifetime-classes.js'
import { MarkList, writeMarks } from '../../store/marks.js'
import { writeZoneHeader } from '../../store/zone-header.js'
import { ZoneIo } from '../../store/zone-io.js'
import { Zones } from '../../store/zones.js'
import { createEmulatedDrive } from '../../zone-model/index.js'

const PAGES_PER_ZONE = 64
const PAGE_BYTES = 4096
const NOW_MS = 1e12
const HOUR_MS = 3_600_000

/** A zone with a page for each list of marks: the sequences that they name. */
async function leavingZone(pages: readonly (readonly number[])[]) {
  const zoneSizeBytes = PAGES_PER_ZONE * PAGE_BYTES
  const drive = createEmulatedDrive({ zoneCount: 4, zoneSizeBytes, maxActive: 2 })
  const bytes = new Uint8Array((1 + pages.length) * PAGE_BYTES)
  writeZoneHeader(bytes, 0, 1, {
    identity: { id: new Uint8Array(16), seeds: [1, 2] },
    ...{ sequence: 1, pagesPerZone: PAGES_PER_ZONE, lifetimeClass: 0, ttlAboveMs: 0, ttlUpToMs: 1 },
  })
  for (const [at, sequences] of pages.entries()) {
    const list = new MarkList()
    for (const sequence of sequences) list.add(sequence, 5, 6)
    list.lastDeadlineMs = NOW_MS + (at + 1) * HOUR_MS
    writeMarks(bytes, (1 + at) * PAGE_BYTES, 2 + at, list, 0)
  }
  await drive.write(0, bytes)
  const zones = new Zones(4)
  zones.open(0, 3, 7, 0)
  const marks = [new MarkList(), new MarkList()]
  const cells = new Float64Array(16)
  cells[NOW] = NOW_MS
  const classes = new LifetimeClasses({ count: 2, zoneBytes: zoneSizeBytes, nowMs: NOW_MS })
  const io = new ZoneIo(drive, () => {})
  const leaving = new LeavingZones({ ...{ io, zones, marks, classes, cells }, pagesPerZone: 64 })
  leaving.add({ physical: 0, sequence: 1, pages: 1 + pages.length, isUsable: true })
  await leaving.carry()
  return marks
}

test('only the marks of zones that are there, and no later deadline than theirs', async () => {
  const marks = await leavingZone([[7, 8], [9], [8]])
  const named = marks.flatMap(list =>
    Array.from({ length: list.length }, (_, at) => list.zoneSequenceOf(at)),
  )
  expect(named).toEqual([7])
  const last = Math.max(...marks.map(list => list.lastDeadlineMs))
  expect(last).toBe(NOW_MS + HOUR_MS)
})

test('nothing at all when nothing is needed', async () => {
  for (const list of await leavingZone([[8], [9]])) {
    expect(list.length).toBe(0)
    expect(list.lastDeadlineMs).toBe(Number.NEGATIVE_INFINITY)
  }
})
