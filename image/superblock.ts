/**
 * The superblock: 4 KiB that say that a directory is an image, of which version, and of what.
 *
 *   0 magic, 8 bytes │ 8 version │ 12 CRC32 of the block with this word as 0 │ 16 bytes of JSON │ 20 JSON
 *
 * Its text is also the head of the `map` file, with another magic, so that repair can make a lost one again. The first five
 * fields lie where they do in every version.
 */
import { crc32 } from 'node:zlib'
import type { ImageDescription } from './description.js'
import { ImageError } from './errors.js'
import type { ImageFile, ImageFiles } from './files.js'
import { BLOCK_BYTES } from './layout.js'

export const FORMAT_VERSION = 1
export const SUPERBLOCK_MAGIC = 'ZSLABIMG'
export const MAP_MAGIC = 'ZSLABCKP'
export const JOURNAL_MAGIC = 'ZSLABJNL'

const VERSION_AT = 8
const CRC_AT = 12
const LENGTH_AT = 16
const TEXT_AT = 20

/** The tier of an image: see tier.ts. */
export interface TierEntry {
  /** Absolute, or the name of a file in the image's folder. */
  readonly path: string
  /** 32 hexadecimal digits, in the tier's head too: each copy of an image has a tier of its own. */
  readonly id: string
  readonly slotCount: number
}

export interface Superblock {
  /** 32 hexadecimal digits. In every file of the image, so that files of two images are not taken for one. */
  readonly id: string
  /** Not to be used itself, only to be cloned. */
  readonly isSnapshot: boolean
  readonly description: ImageDescription
  /** null, or not there: it has none. */
  readonly tier?: TierEntry | null
}

/** A block that begins as all of an image's files do. Throws IMAGE_ERR_OPTION when the value does not fit. */
export function sealBlock(magic: string, value: unknown): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES)
  const text = Buffer.from(JSON.stringify(value))
  if (text.length > BLOCK_BYTES - TEXT_AT) {
    const message = `the description of the device has ${text.length} bytes; at most ${BLOCK_BYTES - TEXT_AT} fit into an image`
    throw new ImageError('IMAGE_ERR_OPTION', message)
  }
  block.write(magic, 'latin1')
  block.writeUInt32LE(FORMAT_VERSION, VERSION_AT)
  block.writeUInt32LE(text.length, LENGTH_AT)
  text.copy(block, TEXT_AT)
  block.writeUInt32LE(crc32(block), CRC_AT)
  return block
}

/** What sealBlock() took. Throws IMAGE_ERR_DAMAGED (magic, length, CRC) or IMAGE_ERR_VERSION, with the file and the offset. */
export function unsealBlock(file: ImageFile, magic: string): unknown {
  const block = Buffer.alloc(BLOCK_BYTES)
  const length = file.read(0, block)
  if (length < BLOCK_BYTES)
    damaged(file.path, length, `it is cut: its head has ${BLOCK_BYTES} bytes`)
  if (block.toString('latin1', 0, VERSION_AT) !== magic)
    damaged(file.path, 0, `it does not begin with ${magic}`)
  const crc = block.readUInt32LE(CRC_AT)
  const version = block.readUInt32LE(VERSION_AT)
  block.writeUInt32LE(0, CRC_AT)
  if (crc32(block) !== crc) damaged(file.path, CRC_AT, 'the checksum of its head is wrong')
  if (version > FORMAT_VERSION) {
    const message = `${file.path}: byte ${VERSION_AT}: the image has version ${version}, and this zslab knows ${FORMAT_VERSION}: use the zslab that made it, or a newer one`
    throw new ImageError('IMAGE_ERR_VERSION', message)
  }
  return JSON.parse(block.toString('utf8', TEXT_AT, TEXT_AT + block.readUInt32LE(LENGTH_AT)))
}

/** Throws IMAGE_ERR_DAMAGED. */
export function damaged(path: string, offset: number, what: string): never {
  const directory = path.slice(0, path.lastIndexOf('/'))
  const message = `${path}: byte ${offset}: ${what}: zslab image check ${directory}`
  throw new ImageError('IMAGE_ERR_DAMAGED', message)
}

/** Written aside and renamed, so that it is there whole or not at all. Durable when it returns. */
export function writeAside(
  files: ImageFiles,
  directory: string,
  name: string,
  bytes: Uint8Array,
): ImageFile {
  const file = files.open(`${directory}/${name}.new`, true)
  try {
    file.write(0, bytes)
    file.sync()
    files.rename(`${directory}/${name}.new`, `${directory}/${name}`)
  } catch (error) {
    file.close()
    throw error
  }
  return file
}
