/**
 * mkzonefs, for distributions that do not have it: the superblock of Linux's fs/zonefs/zonefs.h, and all zones reset.
 *
 * 4096 bytes, little-endian: magic 'SFOZ' │ crc │ label[64] │ uuid[16] │ features u64 │ uid │ gid │ perm │ zeros.
 * The checksum is CRC-32 of the block with a zero checksum, without the final inversion.
 */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Device, must } from './harness.js'

const SUPERBLOCK_BYTES = 4096
const MAGIC = 0x5a4f4653
const UUID_OFFSET = 72
const POLYNOMIAL = 0xedb88320

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0)
  }
  return crc >>> 0
}

export async function makeZonefs(device: Device): Promise<void> {
  const block = Buffer.alloc(SUPERBLOCK_BYTES)
  block.writeUInt32LE(MAGIC, 0)
  randomBytes(16).copy(block, UUID_OFFSET)
  block.writeUInt32LE(crc32(block), 4)
  const file = join(tmpdir(), `zslab-zonefs-${device.id}`)
  writeFileSync(file, block)
  await must('blkzone', ['reset', device.path])
  await must('dd', [
    `if=${file}`,
    `of=${device.path}`,
    'bs=4k',
    'count=1',
    'oflag=direct',
    'conv=notrunc',
  ])
  await must('blkzone', ['finish', '-o', '0', '-l', String(device.zoneSize / 512), device.path])
}
