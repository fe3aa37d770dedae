/** What may be a tier, and what becomes of it: files of every sort; block devices are the kernel tests' (tier.test.ts). */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { geometryOptions } from '../../daemon/device-params.js'
import { DeviceTier } from '../../daemon/device-tier.js'
import { DriveImage } from '../../daemon/drive-image.js'
import { resolveOptions } from '../../daemon/options.js'
import { SharedState } from '../../daemon/shared-state.js'
import { createStateDirectory, newRecord, writeRecord } from '../../daemon/state-directory.js'
import { discardTier, TierFile } from '../../daemon/tier-file.js'
import { Image, slotBytesOf } from '../../image/index.js'
import { Geometry } from '../../zone-model/index.js'

const SLOT_BYTES = 1 << 20

let directory: string
let path: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'zslab-tier-file-'))
  vi.stubEnv('ZSLAB_STATE', join(directory, 'state'))
  path = join(directory, 'tier')
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(directory, { recursive: true })
})

/** A device that has this tier, as its record says. */
function owner(id: number, tier: string): void {
  createStateDirectory(id)
  const sizes = { queueCount: 1, depth: 1, maxIoBytes: 1, tableQueueCount: 1, tableDepth: 1 }
  writeRecord(newRecord(id, resolveOptions({ tier }), sizes))
}

const refused = (act: () => unknown, message: RegExp): void => {
  let error: unknown
  try {
    act()
  } catch (caught) {
    error = caught
  }
  expect(error).toMatchObject({ code: 'DAEMON_ERR_TIER', message: expect.stringMatching(message) })
}

describe('a file', () => {
  it('that is not there is made, divided, sparse, and removed with its device', () => {
    const file = TierFile.claim(path, false)
    expect(file.isMade).toBe(true)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    file.divide(SLOT_BYTES, 5)
    expect(file.slotCount).toBe(5)
    expect(statSync(path).size).toBe(5 * SLOT_BYTES)
    expect(statSync(path).blocks).toBe(0)
    file.close()
    discardTier(path, file.isMade)
    expect(existsSync(path)).toBe(false)
    discardTier(path, true)
  })

  it('that is there and empty is used, and is empty again afterwards', () => {
    writeFileSync(path, '')
    const file = TierFile.claim(path, false)
    expect(file.isMade).toBe(false)
    file.divide(SLOT_BYTES, 5)
    file.close()
    discardTier(path, file.isMade)
    expect(statSync(path).size).toBe(0)
  })

  it('that has something in it is refused and stays as it is, unless told otherwise', () => {
    writeFileSync(path, 'my thesis')
    refused(() => TierFile.claim(path, false), /there is something on it.*--force-tier/)
    expect(readFileSync(path, 'utf8')).toBe('my thesis')
    const file = TierFile.claim(path, true)
    expect(file.isMade).toBe(false)
    expect(statSync(path).size).toBe(0)
    file.close()
  })

  it('of another device is refused, by whatever name, even with --force-tier', () => {
    writeFileSync(path, '')
    owner(7, path)
    symlinkSync(path, join(directory, 'link'))
    for (const name of [path, join(directory, 'link')])
      refused(() => TierFile.claim(name, true), /the tier of device 7/)
    TierFile.claim(join(directory, 'other'), false).close()
  })

  it('that cannot be made or opened is refused', () => {
    refused(() => TierFile.claim(join(directory, 'no', 'tier'), false), /ENOENT/)
    mkdirSync(path)
    refused(() => TierFile.claim(path, true), /neither a file nor a block device/)
    refused(() => TierFile.claim('/dev/null', true), /neither a file nor a block device/)
  })

  it('of a device that is taken over must be there still', () => {
    refused(() => TierFile.reclaim(path, true), /gone/)
    writeFileSync(path, 'data')
    const file = TierFile.reclaim(path, true)
    file.divide(SLOT_BYTES, 3)
    expect(readFileSync(path).subarray(0, 4).toString()).toBe('data')
    file.close()
  })
})

describe('DeviceTier.claim', () => {
  it('makes nothing where no tier is wanted', () => {
    expect(DeviceTier.claim(resolveOptions({}))).toBeNull()
  })

  it('gives the tier of an image its head, and a device in memory does not take it without --force-tier', () => {
    const image = join(directory, 'image')
    const options = resolveOptions({ tier: path, image, zones: 4, zoneSize: '1M' })
    const geometry = Geometry.create(geometryOptions(options))
    const tier = DeviceTier.claim(options)!
    tier.divide(slotBytesOf(1 << 20), geometry)
    expect(tier.forImage()).toEqual({ path, slotCount: 4 })
    expect(statSync(path).size).toBe((1 << 20) + 4 * slotBytesOf(1 << 20))
    const tableBytes = SharedState.bytesNeeded(geometry, 1, 1)
    const description = {
      queueCount: 1,
      depth: 1,
      tableBytes,
      compression: 'none',
      device: {},
    } as const
    const drive = { ...description, geometry: geometryOptions(options) }
    Image.create(image, drive, undefined, tier.forImage())
    tier.close()
    const head = readFileSync(path).subarray(0, 4096)
    refused(
      () => TierFile.claim(path, false),
      new RegExp(`the tier of image ${image}: .*--force-tier`),
    )
    const found = DriveImage.find(image)!
    expect(found.tier).toEqual({ path, slotCount: 4 })
    const held = DeviceTier.ofImage(found, options)!
    expect(held.slotCount).toBe(4)
    held.divide(slotBytesOf(1 << 20), geometry)
    held.close()
    expect(readFileSync(path).subarray(0, 4096)).toEqual(head)
    TierFile.claim(path, true).close()
    expect(() => DriveImage.find(image)).toThrow(/IN_USE|in use/)
    rmSync(join(image, 'lock'))
    expect(() => DriveImage.find(image)).toThrow(/the tier of .*image, has no head of a tier/)
  })
})
