/**
 * How pages begin: the one place that knows where a page's fields are. All integers are little-endian.
 *
 * ```
 *   0  u32  CRC-32 of bytes 4 … 4096 (of a run: of all its bytes from 4 on; of a group index: see group-index.ts)
 *   4  u16  magic                    6  u8  version          7  u8  kind
 *   8  u48  sequence of the page: rises by one with every page that is complete, whatever its zone
 * ```
 * What follows depends on the kind: slab.ts, run.ts, marks.ts, zone-header.ts, group-index.ts.
 */
import { crc32 } from 'node:zlib'

export const PAGE_BYTES = 4096
export const PAGE_SECTORS = PAGE_BYTES / 512

export const PAGE_MAGIC = 0x5a53
/** Goes up with every change of what is on the drive. */
export const FORMAT_VERSION = 1

export const KIND_SLAB = 1
export const KIND_MARKS = 2
export const KIND_RUN = 3
export const KIND_ZONE_HEADER = 4
export const KIND_GROUP_INDEX = 5

export const AT_CRC = 0
export const AT_MAGIC = 4
export const AT_VERSION = 6
export const AT_KIND = 7
export const AT_SEQUENCE = 8

/** Sequences and times are whole numbers below 2^48: 8,900 years of milliseconds. */
export const U48_MAX = 2 ** 48 - 1

export function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8)
}

export function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  )
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

export function readU48(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at) + readU16(bytes, at + 4) * 2 ** 32
}

export function writeU48(bytes: Uint8Array, at: number, value: number): void {
  const high = Math.floor(value / 2 ** 32)
  writeU32(bytes, at, (value - high * 2 ** 32) | 0)
  writeU16(bytes, at + 4, high)
}

/** Writes the fields that every page has, but the checksum. */
export function beginPage(bytes: Uint8Array, base: number, kind: number, sequence: number): void {
  writeU16(bytes, base + AT_MAGIC, PAGE_MAGIC)
  bytes[base + AT_VERSION] = FORMAT_VERSION
  bytes[base + AT_KIND] = kind
  writeU48(bytes, base + AT_SEQUENCE, sequence)
}

/** Writes the checksum of `length` bytes from `base` on: a page, or a run. */
export function sealPage(bytes: Uint8Array, base: number, length = PAGE_BYTES): void {
  writeU32(bytes, base + AT_CRC, crc32(bytes.subarray(base + AT_MAGIC, base + length)))
}

/** What a page says it is, if its magic, version and checksum are right; 0 otherwise. A run's checksum needs its length. */
export function kindOf(bytes: Uint8Array, base: number, length = PAGE_BYTES): number {
  if (readU16(bytes, base + AT_MAGIC) !== PAGE_MAGIC) return 0
  if (bytes[base + AT_VERSION] !== FORMAT_VERSION) return 0
  const crc = crc32(bytes.subarray(base + AT_MAGIC, base + length))
  return crc === readU32(bytes, base + AT_CRC) ? bytes[base + AT_KIND]! : 0
}
