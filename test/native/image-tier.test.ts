/** Images with a tier: what is there after a power cut, and what is given back when. Damage: image-tier-damage.test.ts. */
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Image, NODE_FILES } from '../../image/index.js'
import { openMedia } from '../../ublk-native/index.js'
import * as zones from '../../zone-model/index.js'
import {
  Drive,
  expectZones,
  GEOMETRY,
  geometry,
  image,
  makeDrive,
  noise,
  root,
  slotAt,
  ZONE_BYTES,
} from './image-drive.js'
import {
  cut,
  demote,
  makeTier,
  makeTiered,
  PAGES,
  region,
  reset,
  SLOTS,
  tier,
} from './tiered-drive.js'

describe('an image with a tier', () => {
  test('has its pages there after a power cut, and the memory is counted right', () => {
    makeTiered()
    const drive = new Drive(image)
    expectZones(drive, [2, 3, 4, 5, 9])
    expect([2, 3, 4, 5].map(zone => region(drive, zone).slot)).toEqual([3, 1, 8, 0])
    expect(region(drive, 2)).toMatchObject({ rawPages: 0, compressedPages: 0, fillPages: 1 })
    expect(region(drive, 2).tier.pages).toBe(4)
    // Two raw pages, and what shares a block with nothing else.
    expect(region(drive, 2).memoryBytes).toBe(region(drive, 5).memoryBytes - 2 * 4096)
    drive.append(2, noise(77, 1))
    drive.close()
    const again = new Drive(image)
    expectZones(again, [3, 4])
    expect(again.read(2, 4096, 5 * 4096)).toEqual(noise(77, 1))
    again.close()
  })

  test('a slot that no page needs is free after a power cut', () => {
    makeTiered()
    const drive = new Drive(image)
    reset(drive, 3)
    drive.flush()
    expect(region(drive, 3).slot).toBe(1)
    const back = cut('cut')
    drive.close()
    const other = new Drive(back)
    expect([2, 3, 4].map(zone => region(other, zone).slot)).toEqual([3, 0, 8])
    demote(other, [5], [1])
    other.close()
    const again = new Drive(back)
    expectZones(again, [2, 4, 5])
    again.close()
  })

  test('a page that goes there while a commit copies has its slot in that commit, or is not there yet', () => {
    for (const when of ['zones', 'table', 'taken', 'kinds', 'words', 'copied']) {
      rmSync(image, { recursive: true, force: true })
      makeTier(tier)
      makeDrive(1 << 24, { path: tier, slotCount: SLOTS })
      let during = (_step: string): void => {}
      const drive = new Drive(image, 1 << 24, step => during(step))
      drive.append(2, noise(5, 1))
      during = step => {
        if (step !== when) return
        during = () => {}
        demote(drive, [2, 9, 20], [4, 5, 6])
      }
      drive.flush()
      const found = cut(`cut-${when}`)
      drive.close()
      const other = new Drive(found)
      expectZones(other, [3, 9, 20])
      expect(other.read(2, 4096, 5 * 4096), when).toEqual(noise(5, 1))
      other.close()
    }
  })

  test('what lies behind a write pointer in the tier is cleared, and durably', () => {
    makeTier(tier)
    makeDrive(1 << 24, { path: tier, slotCount: SLOTS })
    const page = noise(30, 1)
    let during = (_step: string): void => {}
    const drive = new Drive(image, 1 << 24, step => during(step))
    drive.append(30, page.subarray(0, 1536))
    drive.flush()
    // The write pointer has been copied; the page is not yet.
    during = step => {
      if (step !== 'table') return
      during = () => {}
      drive.append(30, page.subarray(1536))
      demote(drive, [30], [2], 4096)
    }
    drive.append(31, page)
    drive.flush()
    const back = cut('cut')
    drive.close()
    const log: string[] = []
    const open: typeof NODE_FILES.open = (path, create) => {
      const file = NODE_FILES.open(path, create)
      if (path !== tier) return file
      const note = (what: string): void => void log.push(what)
      return {
        ...{ path, read: file.read.bind(file), close: file.close.bind(file) },
        truncate: () => note('truncate'),
        write: (at, bytes) => {
          note(`write ${at - slotAt(2)}`)
          file.write(at, bytes)
        },
        sync: () => {
          note('sync')
          file.sync()
        },
      }
    }
    const state = join(root, 'state-2')
    mkdirSync(state)
    const found = Image.open(back, { files: { ...NODE_FILES, open } })
    found.restore(state)
    found.close({ clean: false })
    expect(log).toEqual(['write 1536', 'sync'])
    const other = new Drive(back)
    expect(zones.wpOf(other.table.load(30))).toBe(3)
    expect(region(other, 30)).toMatchObject({ slot: 2, tier: { pages: 1 } })
    const expected = Buffer.alloc(4096)
    expected.set(page.subarray(0, 1536))
    expect(other.read(30, 4096)).toEqual(expected)
    other.close()
  })

  test('after SIGKILL nothing is given back that no commit knows of', () => {
    makeTiered()
    const drive = new Drive(image)
    demote(drive, [5, 6], [2, 4])
    // As the next process finds it.
    const pages = openSync(join(root, 'state', 'pages'), 'r+')
    writeSync(pages, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]), 0, 8, 40)
    closeSync(pages)
    const options = {
      directory: join(root, 'state'),
      dataDirectory: image,
      bytes: geometry.totalBytes,
      regionBytes: ZONE_BYTES,
      inPlaceBytes: GEOMETRY.conventionalCount * ZONE_BYTES,
      compression: 'lz4',
      sameFill: true,
      tier,
      tierOffsetBytes: 1 << 20,
      create: false,
    } as const
    const next = openMedia(options)
    const [five, two] = [next.stats().regions[5]!, next.stats().regions[2]!]
    expect([five.tier.pages, five.slot]).toEqual([4, 2])
    expect(two.memoryBytes).toBeLessThan(five.memoryBytes)
    const before = new Drive(cut('cut'))
    expectZones(before, [2, 5, 6])
    expect(region(before, 5).tier.pages).toBe(0)
    before.close()
    next.close()
  })

  test('a zone that is reset keeps its bytes until the commit, those in the tier and those in memory', () => {
    makeTiered()
    const drive = new Drive(image)
    drive.append(2, noise(77, 1))
    drive.flush()
    const { memoryBytes } = drive.media.stats()
    reset(drive, 2)
    reset(drive, 3)
    const { memoryBytes: after, spareBytes } = drive.media.stats()
    expect(after).toBeGreaterThanOrEqual(memoryBytes)
    expect(after - spareBytes).toBeLessThan(memoryBytes)
    const back = cut('cut')
    drive.flush()
    drive.afterFlush()
    expect(region(drive, 2)).toMatchObject({
      memoryBytes: 0,
      slot: 3,
      tier: { pages: 0, bytes: 0 },
    })
    expect(region(drive, 3)).toMatchObject({ memoryBytes: 0, slot: 1 })
    expect(drive.media.stats().spareBytes).toBe(0)
    for (const zone of [2, 3]) expect(drive.media.dropSlot(zone)).toBe(0)
    drive.close()
    // The tier has lost these slots by now; that of zone 4 it has not.
    const other = new Drive(back)
    expectZones(other, [4, 5])
    expect(other.read(2, 4096, 5 * 4096)).toEqual(noise(77, 1))
    other.close()
  })

  test('the limit does not count what the next commit gives back', () => {
    makeTiered()
    const drive = new Drive(image)
    const state = {
      directory: join(root, 'state'),
      dataDirectory: image,
      bytes: geometry.totalBytes,
    }
    const { memoryBytes: limitBytes } = drive.media.stats()
    const limited = openMedia({
      ...state,
      regionBytes: ZONE_BYTES,
      inPlaceBytes: GEOMETRY.conventionalCount * ZONE_BYTES,
      sameFill: true,
      compression: 'lz4',
      tier,
      tierOffsetBytes: 1 << 20,
      limitBytes,
      create: false,
    })
    const full = Buffer.from(noise(3, PAGES))
    expect(limited.write(40 * ZONE_BYTES, full)).toBe(-28)
    for (const zone of [5, 6, 7, 8, 9, 20]) reset(drive, zone)
    expect(limited.write(40 * ZONE_BYTES, full)).toBe(full.length)
    expect(limited.write(41 * ZONE_BYTES, full)).toBe(-28)
    limited.close()
    drive.close()
  })
})
