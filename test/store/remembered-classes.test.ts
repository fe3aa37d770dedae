/**
 * Boundaries of lifetime classes survive a restart, and nothing that does not fit together is believed.
 */
import { expect, test } from 'vitest'
import { open, type Store } from '../../store/index.js'
import { type RememberedClasses, rememberedClasses } from '../../store/remembered-classes.js'
import type { ZoneHeader } from '../../store/zone-header.js'
import { Prng } from '../fakes/prng.js'
import { CrashDrive } from './crash-drive.js'

const header = (sequence: number, lifetimeClass: number, above: number, upTo: number): ZoneHeader =>
  ({ sequence, lifetimeClass, ttlAboveMs: above, ttlUpToMs: upTo }) as ZoneHeader

test.each<[string, ZoneHeader[], RememberedClasses | null]>([
  ['no zones', [], null],
  [
    'one zone a class, one without TTLs',
    [header(3, 1, 100, 900), header(2, 0, 0, 100), header(4, 2, 900, Number.POSITIVE_INFINITY)],
    { boundariesMs: [100, 900], classes: [0, 1] },
  ],
  [
    'of each class the newest',
    [header(1, 0, 0, 50), header(5, 0, 0, 100), header(2, 2, 100, 900)],
    { boundariesMs: [100, 900], classes: [0, 2] },
  ],
  ['boundaries moved between two classes', [header(1, 0, 0, 100), header(2, 1, 50, 900)], null],
])('%s', (_, headers, expected) => {
  expect(rememberedClasses(headers)).toEqual(expected)
})

test('a store that was opened again goes on with what it learned', async () => {
  const prng = Prng.fromEnvironment('remembered classes')
  const drive = new CrashDrive({ zoneCount: 60, zoneSizeBytes: 256 * 1024, maxActive: 5 }, prng)
  let nowMs = 1_700_000_000_000
  const openStore = (): Promise<Store> => open({ device: drive, now: () => nowMs })
  const ttls = [1000, 10_000, 50_000]
  const store = await openStore()
  const before = store.stats().lifetimeBoundaries
  for (let step = 0; step < 20_000; step++) {
    await store.set(`k${step}`, 'x'.repeat(150), { ttl: prng.pick(ttls) })
    if (step % 50 !== 0) continue
    nowMs += 500
    store.tick(nowMs)
  }
  const learned = store.stats().lifetimeBoundaries
  expect(learned).not.toEqual(before)
  await store.close()
  drive.revive()
  const again = await openStore()
  const remembered = again.stats().lifetimeBoundaries
  // A header has whole milliseconds.
  expect(remembered.length).toBe(learned.length)
  for (const [i, boundary] of remembered.entries()) {
    expect(Math.abs(boundary - learned[i]!)).toBeLessThanOrEqual(1)
  }
  await again.close()
})
