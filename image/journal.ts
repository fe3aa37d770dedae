/**
 * The journal: one record a commit, each the whole blocks that changed. Replayed over the `map` in order.
 *
 *   head, 4 KiB (id, generation, salt) │ record │ record │ …
 *   record: 0 magic │ 4 CRC32 of the record with this word as 0 │ 8 salt, 8 bytes │ 16 sequence │ 20 blocks │
 *           24 block numbers, 4 bytes each, filled up to 4 KiB │ the blocks
 *
 * A record is written when the one before it is durable. So one that is torn is the last, and ends the replay; one that is
 * not valid and has a valid one of this journal behind it is damage. The salt is random, new with each journal: nothing that was
 * written for something else, not even data that looks like a record, is taken for one.
 */
import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { ImageFile } from './files.js'
import { BLOCK_BYTES } from './layout.js'
import { damaged, JOURNAL_MAGIC, sealBlock, unsealBlock } from './superblock.js'

const RECORD_MAGIC = 0x4345525a
const CRC_AT = 4
const SALT_AT = 8
const SEQUENCE_AT = 16
const COUNT_AT = 20
const NUMBERS_AT = 24

export interface JournalHead {
  readonly id: string
  readonly generation: number
  /** 16 hexadecimal digits. */
  readonly salt: string
}

/** Bytes before the blocks of a record. */
function prologueBytes(count: number): number {
  return Math.ceil((NUMBERS_AT + count * 4) / BLOCK_BYTES) * BLOCK_BYTES
}

export class Journal {
  readonly head: JournalHead
  /** The newest of every block that is in the journal. */
  readonly blocks = new Map<number, Uint8Array>()
  /** Where the next record goes. */
  end = BLOCK_BYTES
  /** Where a record is damaged that others follow; null: nowhere. */
  damageAt: number | null = null
  /** Blocks of the valid records behind the damage, the newest of each. */
  readonly later = new Map<number, Uint8Array>()
  #sequence = 0

  /**
   * Reads all records. Damage is only noted.
   * @throws ImageError `IMAGE_ERR_DAMAGED` (the head), `IMAGE_ERR_VERSION`
   */
  constructor(
    private readonly file: ImageFile,
    private readonly blockCount: number,
  ) {
    this.head = unsealBlock(file, JOURNAL_MAGIC) as JournalHead
    for (;;) {
      const record = this.#read(this.end, this.#sequence)
      if (record === null) break
      for (const [block, bytes] of record.blocks) this.blocks.set(block, bytes)
      this.end += record.bytes
      this.#sequence++
    }
    this.#lookForMore()
  }

  /** The first block of a new journal. */
  static newHead(id: string, generation: number): Buffer {
    const head: JournalHead = { id, generation, salt: randomBytes(8).toString('hex') }
    return sealBlock(JOURNAL_MAGIC, head)
  }

  /** How many records there are. */
  get records(): number {
    return this.#sequence
  }

  get path(): string {
    return this.file.path
  }

  /** Adds a record; durable when it returns. When it throws, the next one takes its place. */
  append(blocks: ReadonlyMap<number, Uint8Array>): void {
    const count = blocks.size
    const record = Buffer.alloc(prologueBytes(count) + count * BLOCK_BYTES)
    record.writeUInt32LE(RECORD_MAGIC, 0)
    record.write(this.head.salt, SALT_AT, 'hex')
    record.writeUInt32LE(this.#sequence, SEQUENCE_AT)
    record.writeUInt32LE(count, COUNT_AT)
    let at = NUMBERS_AT
    let blockAt = prologueBytes(count)
    for (const [block, bytes] of blocks) {
      record.writeUInt32LE(block, at)
      record.set(bytes, blockAt)
      at += 4
      blockAt += BLOCK_BYTES
    }
    record.writeUInt32LE(crc32(record), CRC_AT)
    this.file.write(this.end, record)
    this.file.sync()
    this.end += record.length
    this.#sequence++
    for (const [block, bytes] of blocks) this.blocks.set(block, bytes)
  }

  /** @throws ImageError `IMAGE_ERR_DAMAGED` when a record is damaged that others follow */
  refuseDamage(): void {
    if (this.damageAt === null) return
    damaged(this.file.path, this.damageAt, 'a record is damaged, and valid ones follow it')
  }

  close(): void {
    this.file.close()
  }

  /** The record at `offset` if it is valid and has at least that sequence; null if not. */
  #read(offset: number, sequence: number, isExact = true) {
    const first = Buffer.alloc(BLOCK_BYTES)
    if (this.file.read(offset, first) < BLOCK_BYTES) return null
    if (first.readUInt32LE(0) !== RECORD_MAGIC) return null
    if (first.toString('hex', SALT_AT, SEQUENCE_AT) !== this.head.salt) return null
    const found = first.readUInt32LE(SEQUENCE_AT)
    if (isExact ? found !== sequence : found < sequence) return null
    const count = first.readUInt32LE(COUNT_AT)
    if (count > this.blockCount) return null
    const record = Buffer.alloc(prologueBytes(count) + count * BLOCK_BYTES)
    if (this.file.read(offset, record) < record.length) return null
    const crc = record.readUInt32LE(CRC_AT)
    record.writeUInt32LE(0, CRC_AT)
    if (crc32(record) !== crc) return null
    const blocks = new Map<number, Uint8Array>()
    for (let i = 0; i < count; i++) {
      const at = prologueBytes(count) + i * BLOCK_BYTES
      blocks.set(
        record.readUInt32LE(NUMBERS_AT + i * 4),
        new Uint8Array(record.subarray(at, at + BLOCK_BYTES)),
      )
    }
    return { blocks, bytes: record.length }
  }

  /** Behind the last valid record only torn bytes may be. */
  #lookForMore(): void {
    const probe = new Uint8Array(1)
    for (let at = this.end + BLOCK_BYTES; this.file.read(at, probe) > 0; at += BLOCK_BYTES) {
      const record = this.#read(at, this.#sequence, false)
      if (record === null) continue
      this.damageAt = this.end
      for (const [block, bytes] of record.blocks) this.later.set(block, bytes)
    }
  }
}
