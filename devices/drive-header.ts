/**
 * The file `header` of a drive in a directory: which drive it is, and its zones as the last flush or reset left them.
 *
 * ```
 * 0     magic ZSLABDRV │ 8 version │ 12 CRC32 of the block with this word as 0 │ 16 bytes of JSON │ 20 JSON: the geometry
 * 4096  zone table, copy 0 │ then copy 1, each whole blocks:
 *       0 magic ZSLABZTB │ 8 generation (low, high) │ 16 CRC32 of the copy with this word as 0 │ 64 zones of 8 bytes:
 *       word [cond:4 | 0 | wp:27] as the zone table has it │ sectors of the zone's file that count
 * ```
 *
 * Little-endian. The copies are written in turn, so that a write which is cut off leaves the other one, and with it the state
 * of the flush or reset before: nobody was told of the one that was cut off.
 */
import { crc32 } from 'node:zlib'
import {
  BLK_ZONE_COND_CLOSED,
  BLK_ZONE_COND_EMPTY,
  BLK_ZONE_COND_EXP_OPEN,
  BLK_ZONE_COND_FULL,
  BLK_ZONE_COND_IMP_OPEN,
  BLK_ZONE_COND_NOT_WP,
  BLK_ZONE_COND_OFFLINE,
  BLK_ZONE_COND_READONLY,
  conditionOf,
  Geometry,
  type GeometryOptions,
  packWord,
  wpOf,
} from '../zone-model/index.js'
import type { DriveFile } from './drive-files.js'
import { DeviceError } from './errors.js'

const BLOCK_BYTES = 4096
const FORMAT_VERSION = 1
const DRIVE_MAGIC = 'ZSLABDRV'
const TABLE_MAGIC = 'ZSLABZTB'
const VERSION_AT = 8
const CRC_AT = 12
const LENGTH_AT = 16
const TEXT_AT = 20
const GENERATION_AT = 8
const TABLE_CRC_AT = 16
const ZONES_AT = 64
const ZONE_BYTES = 8

const WRITTEN_CONDITIONS: readonly number[] = [
  BLK_ZONE_COND_EMPTY,
  BLK_ZONE_COND_IMP_OPEN,
  BLK_ZONE_COND_EXP_OPEN,
  BLK_ZONE_COND_CLOSED,
  BLK_ZONE_COND_FULL,
  BLK_ZONE_COND_READONLY,
  BLK_ZONE_COND_OFFLINE,
]

/** What is durable of the zones. */
export interface ZoneStates {
  /** Zone words, not busy. */
  readonly words: Int32Array
  /** How much of each zone's file counts, in sectors. */
  readonly filled: Uint32Array
}

/** All zones empty. */
export function emptyStates({ zoneCount, conventionalCount }: Geometry): ZoneStates {
  const words = new Int32Array(zoneCount)
  words.fill(packWord(BLK_ZONE_COND_NOT_WP, 0), 0, conventionalCount)
  words.fill(packWord(BLK_ZONE_COND_EMPTY, 0), conventionalCount)
  return { words, filled: new Uint32Array(zoneCount) }
}

/** Throws DEVICE_ERR_DAMAGED. */
export function damaged(path: string, offset: number, what: string): never {
  const next = 'bring the directory back from a copy, or delete it and make a new drive'
  throw new DeviceError('DEVICE_ERR_DAMAGED', `${path}: byte ${offset}: ${what}: ${next}`)
}

function tableBytesOf(geometry: Geometry): number {
  return Math.ceil((ZONES_AT + geometry.zoneCount * ZONE_BYTES) / BLOCK_BYTES) * BLOCK_BYTES
}

function sealDrive(geometry: Geometry): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES)
  const text = Buffer.from(JSON.stringify(geometry))
  block.write(DRIVE_MAGIC, 'latin1')
  block.writeUInt32LE(FORMAT_VERSION, VERSION_AT)
  block.writeUInt32LE(text.length, LENGTH_AT)
  text.copy(block, TEXT_AT)
  block.writeUInt32LE(crc32(block), CRC_AT)
  return block
}

async function unsealDrive(file: DriveFile, path: string): Promise<Geometry> {
  const block = Buffer.alloc(BLOCK_BYTES)
  const length = await file.read(0, block)
  if (length < BLOCK_BYTES) damaged(path, length, `it is cut: its head has ${BLOCK_BYTES} bytes`)
  if (block.toString('latin1', 0, VERSION_AT) !== DRIVE_MAGIC)
    damaged(path, 0, `it does not begin with ${DRIVE_MAGIC}`)
  const crc = block.readUInt32LE(CRC_AT)
  const version = block.readUInt32LE(VERSION_AT)
  block.writeUInt32LE(0, CRC_AT)
  if (crc32(block) !== crc) damaged(path, CRC_AT, 'the checksum of its head is wrong')
  if (version > FORMAT_VERSION) {
    const message = `${path}: byte ${VERSION_AT}: the drive has version ${version}, and this zslab knows ${FORMAT_VERSION}: use the zslab that made it, or a newer one`
    throw new DeviceError('DEVICE_ERR_VERSION', message)
  }
  const text = block.toString('utf8', TEXT_AT, TEXT_AT + block.readUInt32LE(LENGTH_AT))
  return Geometry.create(JSON.parse(text) as GeometryOptions)
}

function sealTable(geometry: Geometry, generation: number, states: ZoneStates): Buffer {
  const bytes = Buffer.alloc(tableBytesOf(geometry))
  bytes.write(TABLE_MAGIC, 'latin1')
  bytes.writeUInt32LE(generation >>> 0, GENERATION_AT)
  bytes.writeUInt32LE(Math.floor(generation / 2 ** 32), GENERATION_AT + 4)
  for (let zone = 0; zone < geometry.zoneCount; zone++) {
    bytes.writeInt32LE(states.words[zone]!, ZONES_AT + zone * ZONE_BYTES)
    bytes.writeUInt32LE(states.filled[zone]!, ZONES_AT + zone * ZONE_BYTES + 4)
  }
  bytes.writeUInt32LE(crc32(bytes), TABLE_CRC_AT)
  return bytes
}

/** The generation of a copy, or null when it is not whole. */
function generationOf(bytes: Buffer, length: number): number | null {
  if (length < bytes.length || bytes.toString('latin1', 0, 8) !== TABLE_MAGIC) return null
  const crc = bytes.readUInt32LE(TABLE_CRC_AT)
  bytes.writeUInt32LE(0, TABLE_CRC_AT)
  if (crc32(bytes) !== crc) return null
  return bytes.readUInt32LE(GENERATION_AT) + bytes.readUInt32LE(GENERATION_AT + 4) * 2 ** 32
}

/** A checksum that is right over numbers that cannot be is a bug or malice, and is refused like damage. */
function isPossible(geometry: Geometry, zone: number, word: number, filled: number): boolean {
  const wp = wpOf(word)
  if (zone < geometry.conventionalCount)
    return word === packWord(BLK_ZONE_COND_NOT_WP, 0) && filled <= geometry.zoneSizeSectors
  return (
    WRITTEN_CONDITIONS.includes(conditionOf(word)) &&
    word === packWord(conditionOf(word), wp) &&
    wp <= geometry.zoneCapacitySectors &&
    filled <= wp
  )
}

function statesIn(geometry: Geometry, bytes: Buffer, path: string, start: number): ZoneStates {
  const states = emptyStates(geometry)
  for (let zone = 0; zone < geometry.zoneCount; zone++) {
    const at = ZONES_AT + zone * ZONE_BYTES
    const word = bytes.readInt32LE(at)
    const filled = bytes.readUInt32LE(at + 4)
    if (!isPossible(geometry, zone, word, filled))
      damaged(path, start + at, `zone ${zone} cannot be in that state`)
    states.words[zone] = word
    states.filled[zone] = filled
  }
  return states
}

/** An open header. One write at a time: the caller waits for each. */
export class DriveHeader {
  private constructor(
    private readonly file: DriveFile,
    readonly geometry: Geometry,
    /** What the header held when it was opened. */
    readonly found: ZoneStates,
    private generation: number,
  ) {}

  /** Everything that a new header holds. */
  static initial(geometry: Geometry): Buffer {
    const states = emptyStates(geometry)
    const tables = [0, 1].map(generation => sealTable(geometry, generation, states))
    return Buffer.concat([sealDrive(geometry), ...tables])
  }

  /** Throws DeviceError DAMAGED with the byte, VERSION; rejects with what fs throws. */
  static async open(file: DriveFile, path: string): Promise<DriveHeader> {
    const geometry = await unsealDrive(file, path)
    const bytes = tableBytesOf(geometry)
    let newest: { generation: number; copy: Buffer; start: number } | null = null
    for (const start of [BLOCK_BYTES, BLOCK_BYTES + bytes]) {
      const copy = Buffer.alloc(bytes)
      const generation = generationOf(copy, await file.read(start, copy))
      if (generation === null || generation < (newest?.generation ?? 0)) continue
      newest = { generation, copy, start }
    }
    if (newest === null)
      damaged(
        path,
        BLOCK_BYTES,
        `both copies of the zone table are damaged, here and at byte ${BLOCK_BYTES + bytes}`,
      )
    const states = statesIn(geometry, newest.copy, path, newest.start)
    return new DriveHeader(file, geometry, states, newest.generation)
  }

  /** When it resolves, these states are what the next open finds. */
  async write(states: ZoneStates): Promise<void> {
    const generation = this.generation + 1
    const bytes = sealTable(this.geometry, generation, states)
    await this.file.write(BLOCK_BYTES + (generation % 2) * bytes.length, bytes)
    await this.file.sync()
    this.generation = generation
  }

  close(): Promise<void> {
    return this.file.close()
  }
}
