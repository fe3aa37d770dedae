/**
 * The working state of a device as a commit sees it: `table`, `pages` and the marks of what changed, mapped, while the threads
 * of the device go on changing them.
 */
import { join } from 'node:path'
import {
  mapShared,
  PAGES_HEADER_BYTES,
  REGION_BYTES,
  REGION_SPARE,
  unmapShared,
} from '../ublk-native/index.js'
import { TableCopier } from '../zone-model/index.js'
import { DirtyBlocks } from './dirty.js'
import { BLOCK_BYTES, type StateLayout } from './layout.js'
import { PageMapCopier } from './page-map.js'

const PAUSE_MS = 0.05

/** Sleeps a little. */
function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)
}

export class WorkingState {
  readonly dirty: DirtyBlocks
  readonly #buffers: ArrayBuffer[] = []
  readonly #table: ArrayBuffer
  readonly #pages: ArrayBuffer
  readonly #tableCopier: TableCopier
  readonly #pagesCopier: PageMapCopier
  /** The table as it was at the last commit. */
  #committed: Uint8Array
  #copied: Uint8Array

  /** @throws UblkError: a file is missing or of another size */
  constructor(
    private readonly layout: StateLayout,
    stateDirectory: string,
    committedTable: Uint8Array,
    private readonly between: (step: string) => void,
  ) {
    const map = (name: string, bytes: number): ArrayBuffer => {
      const buffer = mapShared(join(stateDirectory, name), bytes, false)
      this.#buffers.push(buffer)
      return buffer
    }
    this.#table = map('table', layout.tableBytes)
    this.#pages = map('pages', layout.pagesBytes)
    const dirty = new Int32Array(map('dirty', layout.dirtyBytes))
    const flushing = new Int32Array(map('flushing', layout.dirtyBytes))
    this.dirty = new DirtyBlocks(dirty, flushing)
    // A process that was killed between taking marks and settling them.
    this.dirty.giveBack()
    const { queueCount, depth } = layout.description
    const words = new Int32Array(this.#table, 0, layout.tableBytes >> 2)
    this.#tableCopier = new TableCopier(words, layout.geometry, queueCount, depth, pause, () =>
      between('zones'),
    )
    this.#pagesCopier = new PageMapCopier(layout, this.#pages, this.dirty, between)
    this.#committed = new Uint8Array(layout.tableBlocks * BLOCK_BYTES)
    this.#committed.set(committedTable)
    this.#copied = new Uint8Array(this.#committed.length)
  }

  /**
   * Copies what has changed since the last commit: block → 4 KiB. settle() or giveBack() must follow.
   * @param isQuiet - nobody else uses the state, and nothing is in flight
   */
  copy(isQuiet: boolean): Map<number, Uint8Array> {
    const layout = this.layout
    const copied = this.#copied
    const words = new Int32Array(copied.buffer, 0, layout.tableBytes >> 2)
    let pages: Map<number, Uint8Array>
    do {
      this.dirty.giveBack()
      // All of the file, for what follows the zone table in it; then the zone table in the order that it needs.
      copied.set(new Uint8Array(this.#table))
      this.#tableCopier.copy(words)
      this.between('table')
      pages = this.#pagesCopier.copy()
    } while (!this.#tableCopier.settle(words))
    if (isQuiet) this.#tableCopier.dropLog(words)
    const blocks = new Map<number, Uint8Array>()
    for (let block = 0; block < layout.tableBlocks; block++) {
      const at = block * BLOCK_BYTES
      const now = copied.subarray(at, at + BLOCK_BYTES)
      if (Buffer.compare(now, this.#committed.subarray(at, at + BLOCK_BYTES)) === 0) continue
      // A copy of its own: the journal keeps it until the next checkpoint.
      blocks.set(block, now.slice())
    }
    for (const [block, bytes] of pages) blocks.set(layout.tableBlocks + block, bytes)
    return blocks
  }

  /** What copy() gave is durable. */
  settle(): void {
    const committed = this.#committed
    this.#committed = this.#copied
    this.#copied = committed
    this.dirty.settle()
  }

  /** It is not. */
  giveBack(): void {
    this.dirty.giveBack()
  }

  /** Whether the last copy may say of a page that it is in the tier that no commit has said it of. */
  get hasTiered(): boolean {
    return this.#pagesCopier.hasTiered
  }

  get committedTable(): Uint8Array {
    return this.#committed
  }

  /** Bytes of memory that a reset zone has kept. */
  spareBytes(zone: number): number {
    const at = PAGES_HEADER_BYTES + zone * REGION_BYTES + REGION_SPARE
    const [low, high] = new Uint32Array(this.#pages, at, 2)
    return low! + high! * 2 ** 32
  }

  close(): void {
    for (const buffer of this.#buffers.splice(0)) unmapShared(buffer)
  }
}
