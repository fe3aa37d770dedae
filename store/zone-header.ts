/**
 * The first page of every zone that the store uses: whose it is, and what the index must know to read the rest.
 *
 * ```
 *   0  as every page (layout.ts)
 *  16  store id, 16 bytes        32  u32 × 2  seeds of the key hash
 *  40  u32  zone sequence: rises by one with every zone that is opened
 *  44  u32  pages of a zone      48  u8  lifetime class
 *  50  u48 × 2  TTLs of the class then, ms: above the first, up to the second; all ones: infinite
 * ```
 */
import {
  beginPage,
  KIND_ZONE_HEADER,
  kindOf,
  PAGE_BYTES,
  readU32,
  readU48,
  sealPage,
  U48_MAX,
  writeU32,
  writeU48,
} from './layout.js'

const AT_STORE_ID = 16
const AT_SEEDS = 32
const AT_ZONE_SEQUENCE = 40
const AT_PAGES_PER_ZONE = 44
const AT_LIFETIME_CLASS = 48
const AT_TTL_ABOVE = 50
const AT_TTL_UP_TO = 56
const STORE_ID_BYTES = 16

/** Who wrote a zone, the same in all zones of a store. */
export interface StoreIdentity {
  /** 16 random bytes. */
  readonly id: Uint8Array
  /** Two unsigned 32-bit numbers. */
  readonly seeds: readonly [number, number]
}

export interface ZoneHeader {
  readonly identity: StoreIdentity
  readonly sequence: number
  readonly pagesPerZone: number
  readonly lifetimeClass: number
  /** Of the class when the zone was opened, milliseconds: above the first, up to the second. */
  readonly ttlAboveMs: number
  readonly ttlUpToMs: number
}

export function writeZoneHeader(
  bytes: Uint8Array,
  base: number,
  pageSequence: number,
  header: ZoneHeader,
): void {
  bytes.fill(0, base, base + PAGE_BYTES)
  beginPage(bytes, base, KIND_ZONE_HEADER, pageSequence)
  bytes.set(header.identity.id, base + AT_STORE_ID)
  writeU32(bytes, base + AT_SEEDS, header.identity.seeds[0] | 0)
  writeU32(bytes, base + AT_SEEDS + 4, header.identity.seeds[1] | 0)
  writeU32(bytes, base + AT_ZONE_SEQUENCE, header.sequence | 0)
  writeU32(bytes, base + AT_PAGES_PER_ZONE, header.pagesPerZone)
  bytes[base + AT_LIFETIME_CLASS] = header.lifetimeClass
  writeU48(bytes, base + AT_TTL_ABOVE, Math.min(U48_MAX, Math.ceil(header.ttlAboveMs)))
  writeU48(bytes, base + AT_TTL_UP_TO, Math.min(U48_MAX, Math.ceil(header.ttlUpToMs)))
  sealPage(bytes, base)
}

/** The header in a page, or null: this zone is not a store's. */
export function readZoneHeader(bytes: Uint8Array, base: number): ZoneHeader | null {
  if (kindOf(bytes, base) !== KIND_ZONE_HEADER) return null
  const id = bytes.slice(base + AT_STORE_ID, base + AT_STORE_ID + STORE_ID_BYTES)
  const seeds = [readU32(bytes, base + AT_SEEDS), readU32(bytes, base + AT_SEEDS + 4)] as const
  return {
    identity: { id, seeds },
    sequence: readU32(bytes, base + AT_ZONE_SEQUENCE),
    pagesPerZone: readU32(bytes, base + AT_PAGES_PER_ZONE),
    lifetimeClass: bytes[base + AT_LIFETIME_CLASS]!,
    ttlAboveMs: readTtl(bytes, base + AT_TTL_ABOVE),
    ttlUpToMs: readTtl(bytes, base + AT_TTL_UP_TO),
  }
}

function readTtl(bytes: Uint8Array, at: number): number {
  const ttlMs = readU48(bytes, at)
  return ttlMs === U48_MAX ? Number.POSITIVE_INFINITY : ttlMs
}

export function isSameStore(a: StoreIdentity, b: StoreIdentity): boolean {
  return Buffer.compare(a.id, b.id) === 0
}
