/**
 * Whether a compressed page can be read: with the media's own code, over a page map of one page at a time in a folder that goes
 * with this object. `data` and the tier are only read: they are opened as those of a device in memory, which touches nothing that is not asked for.
 */
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import {
  mapShared,
  type NativeMedia,
  openMedia,
  PAGE_BYTES,
  PAGES_HEADER_BYTES,
  REGION_BYTES,
  REGION_SLOT,
  unmapShared,
} from '../ublk-native/index.js'
import { freshState } from './create.js'
import type { StateLayout } from './layout.js'
import type { Salvage } from './salvage.js'
import { TIER_HEAD_BYTES } from './tier.js'

export class PageExpander {
  readonly #directory: string
  readonly #layout: StateLayout
  readonly #pages: ArrayBuffer
  readonly #media: NativeMedia
  readonly #kinds: Uint8Array
  readonly #words: Uint32Array
  readonly #target = new Uint8Array(PAGE_BYTES)

  constructor({ layout, directory, tier }: Salvage) {
    this.#layout = layout
    const { geometry, description } = layout
    this.#directory = mkdtempSync(join(tmpdir(), 'zslab-check-'))
    symlinkSync(resolve(directory, 'data'), join(this.#directory, 'data'))
    const path = join(this.#directory, 'pages')
    writeFileSync(path, freshState(layout).get(layout.tableBlocks)!.subarray(0, PAGES_HEADER_BYTES))
    truncateSync(path, layout.pagesBytes)
    this.#pages = mapShared(path, layout.pagesBytes, false)
    this.#kinds = new Uint8Array(this.#pages, layout.kindsAt, layout.pageCount)
    this.#words = new Uint32Array(this.#pages, layout.wordsAt, layout.pageCount * 2)
    this.#media = openMedia({
      directory: this.#directory,
      bytes: geometry.totalBytes,
      regionBytes: geometry.zoneSizeBytes,
      inPlaceBytes: geometry.conventionalCount * geometry.zoneSizeBytes,
      sameFill: true,
      compression: description.compression,
      tier: tier?.file == null ? null : tier.path,
      tierOffsetBytes: TIER_HEAD_BYTES,
      create: false,
    })
  }

  /** `slot`: of its zone in the tier, if it is there. */
  canRead(
    page: number,
    kind: number,
    { low, high }: { low: number; high: number },
    slot: number,
  ): boolean {
    const zone = Math.floor(page / this.#layout.pagesAZone)
    const region = new DataView(this.#pages, PAGES_HEADER_BYTES + zone * REGION_BYTES, REGION_BYTES)
    region.setBigUint64(REGION_SLOT, BigInt(slot), true)
    this.#kinds[page] = kind
    this.#words[page * 2] = low
    this.#words[page * 2 + 1] = high
    return this.#media.read(page * PAGE_BYTES, this.#target) === PAGE_BYTES
  }

  close(): void {
    this.#media.close()
    unmapShared(this.#pages)
    rmSync(this.#directory, { recursive: true })
  }
}
