/**
 * What is remembered of a zone's dead records goes with the zone: another zone will have its id.
 */
import { expect, test } from 'vitest'
import { LifetimeClasses } from '../../store/lifetime-classes.js'
import { makeSpace } from '../../store/space.js'
import { ZoneIo } from '../../store/zone-io.js'
import { Zones } from '../../store/zones.js'
import { createMemoryDrive } from '../../zone-model/index.js'

const PAGES_PER_ZONE = 64

test('twins of a zone are forgotten with it, and no others', () => {
  const zoneBytes = PAGES_PER_ZONE * 4096
  const drive = createMemoryDrive({ zoneCount: 8, zoneSizeBytes: zoneBytes, maxActive: 4 })
  const zones = new Zones(8)
  for (let zone = 7; zone >= 0; zone--) zones.giveFree(zone)
  const { engine, keeper } = makeSpace({
    io: new ZoneIo(drive, () => {}),
    zones,
    identity: { id: new Uint8Array(16), seeds: [1, 2] },
    classes: new LifetimeClasses({ count: 2, zoneBytes, nowMs: 0 }),
    pagesPerZone: PAGES_PER_ZONE,
    zonesMax: 8,
    evicts: true,
    reinserts: false,
  })
  const vzones = [keeper.take(0, 0), keeper.take(0, 0), keeper.take(1, 0)]
  const twinOf = (vzone: number) => (vzone * PAGES_PER_ZONE + PAGES_PER_ZONE - 1) * 256 + 255
  for (const vzone of vzones) engine.twins.add(twinOf(vzone))
  keeper.drop(vzones[1]!, 'expired')
  expect([...engine.twins]).toEqual([twinOf(vzones[0]!), twinOf(vzones[2]!)])
})
