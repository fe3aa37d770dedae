/** Images on files: what they keep, who may use them, copies. Damage: image-damage.test.ts; power cuts: power-cut.test.ts. */
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkImage, copyImage, Image } from '../../image/index.js'
import * as zones from '../../zone-model/index.js'
import {
  codeOf,
  DESCRIPTION,
  Drive,
  expectZones,
  geometry,
  image,
  makeDrive,
  noise,
  root,
  ZONE_BYTES,
} from './image-drive.js'

describe('an image', () => {
  test('keeps a drive: conditions, write pointers, bytes, statistics', () => {
    makeDrive()
    const before = statSync(join(image, 'data')).blocks
    const drive = new Drive(image)
    expectZones(drive, [2, 5, 9])
    expect(drive.read(0, 2 * 4096)).toEqual(noise(0, 2))
    expect(zones.conditionOf(drive.table.load(2))).toBe(zones.BLK_ZONE_COND_CLOSED)
    expect(drive.table.statistics(2)).toMatchObject({ writes: 3, writtenSectors: 40, resets: 0 })
    expect(drive.media.stats()).toMatchObject({ rawPages: 20, fillPages: 9, compressedPages: 18 })
    drive.append(2, noise(77, 1))
    drive.close(false)
    expect(statSync(join(image, 'data')).blocks).toBeLessThan(before + 1000)
    const again = new Drive(image)
    expectZones(again, [2])
    expect(again.read(2, 4096, 5 * 4096)).toEqual(Buffer.alloc(4096))
    again.close()
  })

  test('gives memory of reset zones back after the commit, not before', () => {
    makeDrive()
    const drive = new Drive(image)
    const used = drive.media.stats().memoryBytes
    zones.resetZone(drive.table, 3, zone => drive.media.recycle(zone * ZONE_BYTES, ZONE_BYTES))
    expect(drive.media.stats()).toMatchObject({ memoryBytes: used })
    const { spareBytes } = drive.media.stats()
    expect(spareBytes).toBeGreaterThan(0)
    drive.flush()
    drive.afterFlush(spareBytes)
    expect(drive.media.stats()).toMatchObject({ memoryBytes: used, spareBytes })
    drive.afterFlush(spareBytes - 1)
    expect(drive.media.stats()).toMatchObject({ memoryBytes: used - spareBytes, spareBytes: 0 })
    drive.close()
  })

  test('writes of a zone that kept its memory need no more of it; a clean end keeps nothing', () => {
    makeDrive()
    const drive = new Drive(image)
    const data = join(image, 'data')
    const empty = (): number =>
      zones.resetZone(drive.table, 5, zone => drive.media.recycle(zone * ZONE_BYTES, ZONE_BYTES))
    drive.append(5, noise(50, 8))
    drive.flush()
    const used = statSync(data).blocks
    expect(empty()).toBe(0)
    drive.flush()
    drive.afterFlush(1 << 20)
    expect(statSync(data).blocks).toBe(used)
    drive.append(5, noise(51, 4))
    expect(statSync(data).blocks).toBe(used)
    expect(drive.read(5, 4 * 4096)).toEqual(noise(51, 4))
    drive.flush()
    expect(empty()).toBe(0)
    drive.close()
    expect(statSync(data).blocks).toBeLessThanOrEqual(used - (8 * 4096) / 512)
    const again = new Drive(image)
    expectZones(again, [2, 9])
    again.close()
  })

  test('a page that is written while a commit copies is as it was, or as it is', () => {
    // Its word is in a block of words alone, which has not changed when the commit begins; and holds what it was long ago.
    const description = {
      ...DESCRIPTION,
      geometry: { ...DESCRIPTION.geometry, conventionalCount: 79 },
    }
    Image.create(image, description)
    let during = (_step: string): void => {}
    const drive = new Drive(image, 1 << 24, step => during(step))
    const page = (byte: number): Buffer => Buffer.alloc(4096, byte)
    for (const when of ['taken', 'kinds', 'words', 'copied']) {
      drive.media.write(40 * ZONE_BYTES, page(0xaa))
      drive.flush()
      drive.media.discard(40 * ZONE_BYTES, 4096)
      drive.flush()
      drive.media.write(0, page(1))
      drive.media.discard(0, 4096)
      during = step => {
        if (step === when) drive.media.write(40 * ZONE_BYTES, page(0xbb))
      }
      drive.flush()
      during = () => {}
      const cut = join(root, `cut-${when}`)
      cpSync(image, cut, { recursive: true })
      rmSync(join(cut, 'lock'))
      const found = new Drive(cut)
      expect([page(0), page(0xbb)], when).toContainEqual(found.read(40, 4096))
      found.close()
      drive.flush()
      expect(drive.read(40, 4096)).toEqual(page(0xbb))
    }
    drive.close()
    const again = new Drive(image)
    expect(again.read(40, 4096)).toEqual(page(0xbb))
    again.close()
  })

  test('is one of one process', () => {
    makeDrive()
    const first = Image.open(image)
    expect(codeOf(() => Image.open(image))).toMatch(/^IMAGE_ERR_IN_USE .* in use by this process/)
    expect(codeOf(() => checkImage(image))).toMatch(/^IMAGE_ERR_IN_USE/)
    expect(codeOf(() => copyImage(image, join(root, 'x'), false))).toMatch(/^IMAGE_ERR_IN_USE/)
    const holder = readFileSync(join(image, 'lock'), 'utf8')
    first.close({ clean: false })
    expect(existsSync(join(image, 'lock'))).toBe(false)
    // Another process with the same pid, and another boot: both are dead.
    for (const change of [{ startTicks: 1 }, { bootId: 'another' }]) {
      writeFileSync(join(image, 'lock'), JSON.stringify({ ...JSON.parse(holder), ...change }))
      Image.open(image).close({ clean: false })
    }
    const init = { ...JSON.parse(holder), pid: 1, startTicks: ticksOfInit() }
    writeFileSync(join(image, 'lock'), JSON.stringify(init))
    expect(codeOf(() => Image.open(image))).toMatch(/IN_USE .* in use by process 1/)
    expect(readdirSync(image).sort()).toEqual(['data', 'journal', 'lock', 'map', 'superblock'])
  })

  test('is made in an empty directory only', () => {
    makeDrive()
    expect(codeOf(() => Image.create(image, DESCRIPTION))).toMatch(
      /IMAGE_ERR_EXISTS there is an image/,
    )
    writeFileSync(join(root, 'data'), 'mine')
    expect(codeOf(() => Image.create(root, DESCRIPTION))).toMatch(/IMAGE_ERR_EXISTS/)
    expect(readFileSync(join(root, 'data'), 'utf8')).toBe('mine')
    const large = { ...DESCRIPTION, device: 'x'.repeat(5000) }
    expect(codeOf(() => Image.create(join(root, 'l'), large))).toMatch(/IMAGE_ERR_OPTION .* 4076/)
    const small = { ...DESCRIPTION, tableBytes: 100 }
    expect(codeOf(() => Image.create(join(root, 's'), small))).toMatch(
      /IMAGE_ERR_OPTION .* too small/,
    )
  })
})

function ticksOfInit(): number {
  const stat = readFileSync('/proc/1/stat', 'utf8')
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
}

describe('copies', () => {
  test('a snapshot stays, a clone lives', () => {
    makeDrive()
    const [snapshot, clone] = [join(root, 'snapshot'), join(root, 'clone')]
    const copied = copyImage(image, snapshot, true)
    expect(copied).toMatchObject({ source: image, target: snapshot })
    const drive = new Drive(image)
    drive.append(2, noise(1, 1))
    drive.close()
    expect(codeOf(() => Image.open(snapshot))).toMatch(/IMAGE_ERR_READ_ONLY .*zslab image clone/)
    expect(checkImage(snapshot)).toMatchObject({ isWhole: true, isSnapshot: true })
    copyImage(snapshot, clone, false)
    const other = new Drive(clone)
    expectZones(other, [2, 3, 4, 5, 6, 7, 8, 9])
    other.append(3, noise(1, 1))
    other.close()
    const size = (path: string) => statSync(join(path, 'data')).blocks * 512
    expect(size(clone)).toBeLessThan(geometry.totalBytes / 4)
    expect(codeOf(() => copyImage(image, clone, false))).toMatch(/IMAGE_ERR_EXISTS/)
    expect(codeOf(() => copyImage(root, join(root, 'x'), false))).toMatch(/IMAGE_ERR_MISSING/)
  })
})
