/**
 * Making an image: all zones empty, no page written. The superblock comes last, so that a directory is an image or none.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { CODECS, PAGES_MAGIC, PAGES_VERSION } from '../ublk-native/index.js'
import { ZoneTable } from '../zone-model/index.js'
import type { ImageDescription } from './description.js'
import { ImageError } from './errors.js'
import type { ImageFiles } from './files.js'
import { Journal } from './journal.js'
import { BLOCK_BYTES, StateLayout } from './layout.js'
import { CheckpointMap } from './map.js'
import { ioError, writeSuperblock } from './store.js'
import { writeAside } from './superblock.js'
import { newTierEntry, type TierChoice, writeTierHead } from './tier.js'

/** The state of a new device: the blocks that are not zeros. */
export function freshState(layout: StateLayout): Map<number, Uint8Array> {
  const { geometry, tableBlocks } = layout
  const { queueCount, depth, compression } = layout.description
  const blocks = new Map<number, Uint8Array>()
  const table = new Uint8Array(tableBlocks * BLOCK_BYTES)
  ZoneTable.format(new Int32Array(table.buffer), geometry, queueCount, depth)
  for (let block = 0; block < tableBlocks; block++) {
    const bytes = table.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES)
    if (bytes.some(byte => byte !== 0)) blocks.set(block, bytes)
  }
  const head = Buffer.alloc(BLOCK_BYTES)
  head.write(PAGES_MAGIC, 'latin1')
  head.writeUInt32LE(PAGES_VERSION, 8)
  head.writeUInt32LE(CODECS[compression], 12)
  head.writeBigUInt64LE(BigInt(geometry.totalBytes), 16)
  head.writeBigUInt64LE(BigInt(geometry.zoneSizeBytes), 24)
  head.writeBigUInt64LE(BigInt(geometry.conventionalCount * geometry.zoneSizeBytes), 32)
  blocks.set(tableBlocks, head)
  return blocks
}

/** Refuses a directory with anything in it: that might be somebody's. */
function makeDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const found = readdirSync(directory)
  if (found.length === 0) return
  const what = found.includes('superblock') ? 'there is an image' : `there is ${found[0]}`
  const message = `${what} in ${directory}: choose another directory, or empty it first`
  throw new ImageError('IMAGE_ERR_EXISTS', message)
}

export function createImage(
  directory: string,
  description: ImageDescription,
  files: ImageFiles,
  tier: TierChoice | null,
): void {
  const layout = new StateLayout(description)
  const id = randomBytes(16).toString('hex')
  const entry = tier === null ? null : newTierEntry(tier)
  const superblock = { id, isSnapshot: false, description, tier: entry }
  try {
    makeDirectory(directory)
    const data = files.open(`${directory}/data`, true)
    data.truncate(layout.dataBytes)
    data.sync()
    data.close()
    const file = files.open(`${directory}/map`, true)
    CheckpointMap.format(file, layout, { ...superblock, generation: 0 })
    const map = new CheckpointMap(file, layout)
    map.update(freshState(layout), 0)
    map.close()
    writeAside(files, directory, 'journal', Journal.newHead(id, 1)).close()
    if (entry !== null) {
      const isNew = !isAbsolute(entry.path)
      writeTierHead(files, directory, superblock, layout, isNew)
    }
    files.syncDirectory(directory)
    writeSuperblock(files, directory, superblock)
  } catch (error) {
    throw error instanceof Error && 'syscall' in error ? ioError(directory, error) : error
  }
}
