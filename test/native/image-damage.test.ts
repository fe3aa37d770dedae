/** Damaged images: what is refused, what check finds, what repair saves. */
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  copyFileSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkImage, Image, repairImage } from '../../image/index.js'
import { PAGES_HEADER_BYTES, REGION_BYTES } from '../../ublk-native/index.js'
import * as zones from '../../zone-model/index.js'
import {
  codeOf,
  contents,
  DESCRIPTION,
  Drive,
  expectZones,
  flip,
  geometry,
  image,
  makeDrive,
  noise,
  root,
  text,
  ZONE_BYTES,
} from './image-drive.js'

/** Where a block of the state is in `map`: its head, the checksums, the blocks. */
const TABLE_BLOCKS = Math.ceil(DESCRIPTION.tableBytes / 4096)
const PAGES = geometry.totalBytes / 4096
const KINDS_AT = PAGES_HEADER_BYTES + 80 * REGION_BYTES
const WORDS_AT = KINDS_AT + PAGES
const mapOffset = (pagesOffset: number): number => 4096 + 4096 + TABLE_BLOCKS * 4096 + pagesOffset
const tableOffset = (zone: number): number => 8192 + (64 + 16 + zone * 16) * 4

describe('damage', () => {
  /** What is done to a drive; the code and what else the message says; the zones that check says lost something. */
  const CASES: [string, () => void, RegExp, number[]][] = [
    [
      'a map that is cut',
      () => truncateSync(join(image, 'map'), 20000),
      /DAMAGED .*map: byte \d+: it has been cut/,
      [],
    ],
    [
      'a zone in the table',
      () => flip('map', tableOffset(5)),
      /DAMAGED .*map: byte 8192: the checksum of block 0/,
      [],
    ],
    [
      'the words of pages',
      () => flip('map', mapOffset(WORDS_AT + 8 * 16 * 20)),
      /DAMAGED .*map: byte \d+: the checksum of block/,
      [],
    ],
    [
      'the superblock',
      () => flip('superblock', 100),
      /DAMAGED .*superblock: byte 12: the checksum/,
      [],
    ],
    ['no superblock', () => rmSync(join(image, 'superblock')), /MISSING there is no image/, []],
    ['no map', () => rmSync(join(image, 'map')), /MISSING .*map is missing/, []],
    ['no journal', () => rmSync(join(image, 'journal')), /MISSING .*journal is missing/, []],
    ['no data', () => rmSync(join(image, 'data')), /MISSING .*data is missing/, []],
    ['the head of the journal', () => flip('journal', 30), /DAMAGED .*journal: byte 12/, []],
    [
      'data that is cut',
      () => truncateSync(join(image, 'data'), 400000),
      /DAMAGED .*data: byte \d+: it has been cut/,
      [],
    ],
    [
      'another magic',
      () => flip('superblock', 0),
      /DAMAGED .*superblock: byte 0: it does not begin/,
      [],
    ],
  ]
  test.each(CASES)('%s is refused, with the file and the offset', (_, damage, message) => {
    makeDrive(0)
    damage()
    expect(codeOf(() => new Drive(image).close())).toMatch(message)
  })

  test('a newer version is refused, and not taken for damage', () => {
    makeDrive()
    const block = readFileSync(join(image, 'superblock'))
    block.writeUInt32LE(2, 8)
    block.writeUInt32LE(0, 12)
    block.writeUInt32LE(execCrc(block), 12)
    writeFileSync(join(image, 'superblock'), block)
    for (const work of [() => Image.open(image), () => checkImage(image), () => repairImage(image)])
      expect(codeOf(work)).toMatch(/^IMAGE_ERR_VERSION .*superblock: byte 8: .* version 2/)
  })

  test('of the zone table: its zones go offline, the others are whole', () => {
    makeDrive(0)
    flip('map', tableOffset(70))
    const found = checkImage(image)
    const lost = found.zones.filter(zone => zone.lostZone !== null).map(({ zone }) => zone)
    expect(lost[0]).toBeGreaterThan(20)
    expect(lost).toContain(70)
    expect(found).toMatchObject({ isWhole: false, needsRepair: true })
    expect(found.damage[0]!.file).toBe(join(image, 'map'))
    expect(repairImage(image)).toEqual(found)
    expect(checkImage(image)).toMatchObject({ isWhole: true, needsRepair: false })
    const drive = new Drive(image)
    expectZones(drive, [2, 3, 4, 5, 6, 7, 8, 9, 20])
    expect(zones.conditionOf(drive.table.load(70))).toBe(zones.BLK_ZONE_COND_OFFLINE)
    expect(zones.conditionOf(drive.table.load(10))).toBe(zones.BLK_ZONE_COND_EMPTY)
    drive.close()
  })

  test('of the words: fills, compressed and raw pages of regions are lost, and read as EIO', () => {
    makeDrive(0)
    flip('map', mapOffset(WORDS_AT + 8 * 16 * 20))
    const found = checkImage(image)
    const damaged = found.zones[20]!
    expect(damaged.lost).toEqual([
      { offsetSectors: 0, countSectors: 40, why: 'the page map is damaged', isMarked: false },
    ])
    expect(found.zones[0]!.lost).toEqual([])
    repairImage(image)
    expect(checkImage(image)).toMatchObject({ isWhole: false, needsRepair: false })
    const drive = new Drive(image)
    expect(drive.read(20, 4096)).toBe(-5)
    expect(drive.read(0, 8192)).toEqual(noise(0, 2))
    expect(zones.wpOf(drive.table.load(20))).toBe(40)
    // A reset makes it a zone like any other.
    zones.resetZone(drive.table, 20, zone => drive.media.recycle(zone * ZONE_BYTES, ZONE_BYTES))
    drive.append(20, contents(20))
    expectZones(drive, [2, 20])
    drive.close()
    const after = checkImage(image)
    expect(after.zones[20]!.lost).toEqual([])
  })

  test('of the data: a compressed page that does not expand, a hole, a cut', () => {
    makeDrive(0)
    const stride = ZONE_BYTES * 2
    const zoneAt = (zone: number): number => 2 * ZONE_BYTES + (zone - 2) * stride
    const fd = openSync(join(image, 'data'), 'r+')
    writeSync(fd, Buffer.alloc(16, 0xff), 0, 16, zoneAt(4))
    closeSync(fd)
    // Zone 7 becomes a hole.
    const whole = readFileSync(join(image, 'data'))
    renameSync(join(image, 'data'), join(root, 'old'))
    const sparse = openSync(join(image, 'data'), 'w')
    ftruncateSync(sparse, whole.length)
    writeSync(sparse, whole, 0, zoneAt(7), 0)
    writeSync(sparse, whole, zoneAt(8), whole.length - zoneAt(8), zoneAt(8))
    closeSync(sparse)
    const found = checkImage(image)
    expect(found.zones[4]!.lost.map(({ why }) => why)).toEqual(['does not expand'])
    expect(found.zones[7]!.lost.map(({ why, countSectors }) => [why, countSectors])).toEqual([
      ['a hole in `data`', 32],
    ])
    expect(found.zones.filter(({ lost }) => lost.length > 0).map(({ zone }) => zone)).toEqual([
      4, 7,
    ])
    truncateSync(join(image, 'data'), zoneAt(9))
    const cut = checkImage(image)
    expect(cut.damage.map(({ file }) => file)).toEqual([join(image, 'data')])
    expect(cut.zones[9]!.lost[0]!.why).toBe('behind the end of `data`')
    repairImage(image)
    const drive = new Drive(image)
    expectZones(drive, [2, 3, 5, 6, 8])
    expect(drive.read(7, 4096)).toBe(-5)
    expect(drive.read(7, 4096, 4 * 4096)).toEqual(Buffer.alloc(4096, 7))
    expect(drive.read(9, 4096)).toBe(-5)
    drive.close()
  })

  test('of the superblock: made again from the map', () => {
    makeDrive(0)
    flip('superblock', 100)
    expect(checkImage(image).damage.map(({ file }) => file)).toEqual([join(image, 'superblock')])
    repairImage(image)
    const drive = new Drive(image)
    expectZones(drive, [2, 9])
    drive.close()
  })

  test('of a record in the middle of the journal: the drive is as it was before', () => {
    makeDrive()
    // Each commit is one record: head, table block, and those of the page map.
    const records = recordOffsets()
    expect(records.length).toBeGreaterThanOrEqual(8)
    flip('journal', records[4]! + 4096 + 17)
    expect(codeOf(() => new Drive(image))).toMatch(
      new RegExp(
        `DAMAGED .*journal: byte ${records[4]}: a record is damaged, and valid ones follow`,
      ),
    )
    const found = checkImage(image)
    expect(found.damage[0]).toMatchObject({ file: join(image, 'journal'), offset: records[4] })
    repairImage(image)
    const drive = new Drive(image)
    expectZones(drive, [2, 3, 4, 5])
    expect(zones.conditionOf(drive.table.load(6))).toBe(zones.BLK_ZONE_COND_EMPTY)
    drive.append(6, contents(6))
    drive.close()
    expect(checkImage(image)).toMatchObject({ isWhole: true })
  })

  test('of the last record of the journal: torn, as a power cut leaves it', () => {
    makeDrive()
    const records = recordOffsets()
    truncateSync(join(image, 'journal'), records.at(-1)! + 5000)
    expect(checkImage(image)).toMatchObject({ isWhole: true })
    const drive = new Drive(image)
    expectZones(drive, [2, 8])
    drive.append(12, contents(12))
    drive.close()
    const again = new Drive(image)
    expectZones(again, [2, 8, 12])
    again.close()
  })

  test('a journal of another image, or of another time, is refused', () => {
    makeDrive()
    const mine = join(image, 'journal')
    copyFileSync(mine, join(root, 'journal'))
    const other = join(root, 'other')
    Image.create(other, DESCRIPTION)
    copyFileSync(join(other, 'journal'), mine)
    expect(codeOf(() => Image.open(image))).toMatch(/journal: byte 0: it belongs to another image/)
    copyFileSync(join(root, 'journal'), mine)
    for (let i = 0; i < 3; i++) {
      const drive = new Drive(image, 0)
      drive.append(20 + i, text(20, 1))
      drive.close()
    }
    copyFileSync(join(root, 'journal'), mine)
    expect(codeOf(() => Image.open(image))).toMatch(/journal: byte 0: it is journal 1, but the map/)
  })
})

function recordOffsets(): number[] {
  const journal = readFileSync(join(image, 'journal'))
  const offsets: number[] = []
  for (let at = 4096; at < journal.length; at += 4096)
    if (journal.readUInt32LE(at) === 0x4345525a) offsets.push(at)
  return offsets
}

/** Not the product's: python's, or that of the same library by another way. */
function execCrc(block: Buffer): number {
  const program = 'import sys, zlib; print(zlib.crc32(sys.stdin.buffer.read()))'
  return Number(execFileSync('python3', ['-c', program], { input: block, encoding: 'utf8' }))
}
