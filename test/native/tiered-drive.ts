/**
 * Drives in images with a tier, for tests: those of image-drive.ts, and a file beside them.
 */
import { cpSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect } from 'vitest'
import { PAGE_COMPRESSED, PAGE_RAW, type RegionStats } from '../../ublk-native/index.js'
import * as zones from '../../zone-model/index.js'
import { Drive, image, makeDrive, root, slotAt, ZONE_BYTES } from './image-drive.js'

const BOTH = (1 << PAGE_RAW) | (1 << PAGE_COMPRESSED)
export const PAGES = ZONE_BYTES / 4096
export const SLOTS = 8

/** That of the running test. */
export let tier: string
beforeEach(() => {
  tier = join(root, 'cold')
})

export function makeTier(path: string): void {
  writeFileSync(path, '')
  truncateSync(path, slotAt(SLOTS + 1))
}

/** Of the same drive, with pages of zones 2, 3 and 4 in slots 3, 1 and 8 of the tier, durably, and their memory given back. */
export function makeTiered(journalBytesMax = 1 << 24): void {
  makeTier(tier)
  makeDrive(journalBytesMax, { path: tier, slotCount: SLOTS })
  const drive = new Drive(image, journalBytesMax)
  demote(drive, [2, 3, 4], [3, 1, 8])
  drive.flush()
  for (const zone of [2, 3, 4]) expect(drive.media.release(zone)).toBe(0)
  drive.close()
}

export function demote(
  drive: Drive,
  which: readonly number[],
  slots: readonly number[],
  bytesMin = 2 * 4096,
): void {
  for (const [i, zone] of which.entries()) {
    const { result, bytes } = drive.media.demote(zone, slots[i]!, 0, PAGES, BOTH)
    expect(result).toBe(0)
    expect(bytes).toBeGreaterThanOrEqual(bytesMin)
  }
}

/** As power that goes now would leave the image if its disk had kept everything that it was given. */
export function cut(name: string): string {
  const target = join(root, name)
  cpSync(image, target, { recursive: true })
  rmSync(join(target, 'lock'), { force: true })
  return target
}

export const region = (drive: Drive, zone: number): RegionStats =>
  drive.media.stats().regions[zone]!

export const reset = (drive: Drive, zone: number): void => {
  zones.resetZone(drive.table, zone, each => drive.media.recycle(each * ZONE_BYTES, ZONE_BYTES))
}
