/**
 * The first page of every zone that the store uses: whose it is, and what the index must know to read the rest.
 *
 * ```
 *   0  as every page (layout.ts)
 *  16  store id, 16 bytes        32  u32 × 2  seeds of the key hash
 *  40  u32  zone sequence: rises by one with every zone that is opened
 *  44  u32  pages of a zone      48  u8  lifetime class
 * ```
 */
import {
  beginPage,
  KIND_ZONE_HEADER,
  kindOf,
  PAGE_BYTES,
  readU32,
  sealPage,
  writeU32,
} from './layout.js'

const AT_STORE_ID = 16
const AT_SEEDS = 32
const AT_ZONE_SEQUENCE = 40
const AT_PAGES_PER_ZONE = 44
const AT_LIFETIME_CLASS = 48
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
  }
}

export function isSameStore(a: StoreIdentity, b: StoreIdentity): boolean {
  return Buffer.compare(a.id, b.id) === 0
}
