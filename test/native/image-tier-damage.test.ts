/** Images with a tier that is not right: what is refused, checked and mended; and copies, which have one of their own. */
import {
  closeSync,
  copyFileSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkImage, copyImage, Image, repairImage } from '../../image/index.js'
import {
  codeOf,
  contents,
  DESCRIPTION,
  Drive,
  expectZones,
  image,
  noise,
  root,
  slotAt,
} from './image-drive.js'
import { demote, makeTier, makeTiered, reset, SLOTS, tier } from './tiered-drive.js'

describe('a tier that is not right', () => {
  const refusals: [string, () => void, RegExp][] = [
    ['missing', () => rmSync(tier), /cold, the tier of .*image, is missing: bring it back/],
    ['empty', () => truncateSync(tier, 0), /has no head of a tier: it is cut/],
    [
      'something else',
      () => writeFileSync(tier, noise(1, 4)),
      /has no head of a tier: it does not begin with ZSLABTIR/,
    ],
    [
      'damaged',
      () => {
        const fd = openSync(tier, 'r+')
        writeSync(fd, 'x', 40)
        closeSync(fd)
      },
      /has no head of a tier: the checksum of its head is wrong/,
    ],
    ['cut', () => truncateSync(tier, slotAt(5)), /has been cut: it should have \d+ bytes/],
    [
      "another image's",
      () => {
        const other = join(root, 'other')
        makeTier(`${tier}-2`)
        Image.create(other, DESCRIPTION, undefined, { path: `${tier}-2`, slotCount: SLOTS })
        copyFileSync(`${tier}-2`, tier)
      },
      /belongs to another image, that in .*other: bring it back/,
    ],
  ]
  test.each(refusals)('%s is refused, by name and with what to do', (_, damage, message) => {
    makeTiered()
    damage()
    const said = codeOf(() => new Drive(image).close())
    expect(said).toMatch(/^IMAGE_ERR_TIER .*\/cold, .*zslab image repair .*image gives up/)
    expect(said).toMatch(message)
    expect(codeOf(() => copyImage(image, join(root, 'x'), false))).toMatch(/^IMAGE_ERR_TIER/)
    // Nobody has the lock.
    expect(checkImage(image)).toMatchObject({ isWhole: false, needsRepair: true })
  })

  test('a newer one is not taken for damage', () => {
    makeTiered()
    const sealed = readFileSync(join(image, 'superblock'))
    const version2 = sealed.subarray(0, 4096)
    version2.write('ZSLABTIR', 'latin1')
    version2.writeUInt32LE(2, 8)
    version2.writeUInt32LE(0, 12)
    version2.writeUInt32LE(crc32(version2), 12)
    const fd = openSync(tier, 'r+')
    writeSync(fd, version2, 0, 4096, 0)
    closeSync(fd)
    for (const work of [() => Image.open(image), () => checkImage(image)])
      expect(codeOf(work)).toMatch(/^IMAGE_ERR_VERSION .*cold: byte 8/)
  })

  test('missing: check says what is lost, repair gives that up, and the image goes on without', () => {
    makeTiered(0)
    rmSync(tier)
    const found = checkImage(image)
    expect(found).toMatchObject({ tier, isTierLost: true, needsRepair: true })
    expect(found.damage).toEqual([{ file: tier, offset: 0, what: 'the tier is missing' }])
    const lost = found.zones.filter(zone => zone.lost.length > 0)
    expect(lost.map(({ zone }) => zone)).toEqual([2, 3, 4])
    expect(lost[0]!.lost).toEqual([
      {
        offsetSectors: 0,
        countSectors: 32,
        why: 'it was in the tier, which is lost',
        isMarked: false,
      },
    ])
    repairImage(image)
    expect(checkImage(image)).toMatchObject({ needsRepair: false, tier: null, isTierLost: false })
    const drive = new Drive(image)
    expectZones(drive, [5, 6, 7])
    expect(drive.read(2, 4096)).toBe(-5)
    expect(drive.read(2, 4096, 4 * 4096)).toEqual(Buffer.alloc(4096, 2))
    reset(drive, 2)
    drive.append(2, contents(2))
    drive.close()
    expectZones(new Drive(image), [2, 5])
  })

  test('cut, holed, damaged: zone by zone', () => {
    makeTiered(0)
    // Slot 8 is cut off, slot 3 has a compressed page that does not expand, and slot 1 is a hole.
    const bytes = readFileSync(tier)
    rmSync(tier)
    const fd = openSync(tier, 'w+')
    writeSync(fd, bytes, 0, 4096, 0)
    writeSync(fd, bytes, slotAt(3), slotAt(4) - slotAt(3), slotAt(3))
    writeSync(fd, Buffer.alloc(16, 0xff), 0, 16, slotAt(3))
    closeSync(fd)
    truncateSync(tier, slotAt(5))
    const found = checkImage(image)
    expect(found.damage.map(({ what }) => what)).toEqual([
      `the tier has been cut: it should have ${slotAt(SLOTS + 1)} bytes`,
    ])
    const why = found.zones.map(({ lost }) => lost.map(part => part.why).join())
    expect(why.slice(0, 6)).toEqual([
      '',
      '',
      'does not expand',
      'it is not in the tier any more',
      'it is not in the tier any more',
      '',
    ])
    repairImage(image)
    expect(statSync(tier).size).toBe(slotAt(SLOTS + 1))
    const drive = new Drive(image)
    expectZones(drive, [5, 6])
    expect(drive.read(2, 4096)).toBe(-5)
    expect(drive.read(2, 4096, 2 * 4096)).toEqual(noise(2, 2).subarray(0, 4096))
    expect(drive.read(3, 4096)).toBe(-5)
    drive.close()
    expect(checkImage(image)).toMatchObject({ isWhole: false, needsRepair: false })
  })
})

describe('copies', () => {
  test('have a tier of their own, in their folder', () => {
    makeTiered()
    const [snapshot, clone] = [join(root, 'snapshot'), join(root, 'clone')]
    copyImage(image, snapshot, true)
    copyImage(snapshot, clone, false)
    const drive = new Drive(clone)
    expectZones(drive, [2, 3, 4, 5])
    demote(drive, [5], [2])
    reset(drive, 2)
    drive.flush()
    expect(drive.media.dropSlot(2)).toBe(0)
    drive.close()
    const first = new Drive(image)
    expectZones(first, [2, 3, 4, 5])
    first.close()
    expect(checkImage(snapshot)).toMatchObject({ isWhole: true, tier: join(snapshot, 'tier') })
    expect(statSync(join(clone, 'tier')).blocks * 512).toBeLessThan(slotAt(2))
    // Neither has the tier of the other, not even with a superblock that was lost.
    copyFileSync(join(snapshot, 'tier'), join(clone, 'tier'))
    expect(codeOf(() => new Drive(clone).close())).toMatch(/^IMAGE_ERR_TIER .*belongs to another/)
    rmSync(join(snapshot, 'superblock'))
    repairImage(snapshot)
    expect(checkImage(snapshot)).toMatchObject({ isWhole: true, tier: join(snapshot, 'tier') })
  })
})

/** CRC32, bit by bit. */
function crc32(bytes: Uint8Array): number {
  let crc = ~0
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1))
  }
  return ~crc >>> 0
}
