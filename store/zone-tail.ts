/**
 * What lies behind the last index of a zone that was still being written: its records by their hashes, as an index would have
 * them, from the pages themselves.
 */
import { ITEM_MARKS, ITEM_NOTHING } from './group-index.js'
import type { GroupWriter } from './group-writer.js'
import type { KeyHash } from './key-hash.js'
import { KIND_MARKS, KIND_RUN, KIND_SLAB } from './layout.js'
import { PageRecords } from './page-records.js'
import { sequenceOf } from './slab.js'
import type { ScannedZone, TailPage, ZoneScanner } from './zone-scan.js'

interface ReadPage {
  readonly kind: number
  readonly page: number
  readonly pages: number
  /** Its hashes are those from the `first`-th on. */
  readonly first: number
  readonly records: number
}

export class ZoneTail {
  readonly pages: ReadPage[] = []
  places = new Int32Array(64)
  tags = new Int32Array(64)
  /** Above the sequences of its pages. */
  nextSequence = 0
  /** Ms since the epoch; Infinity when a record has none, -Infinity without records. */
  lastDeadlineMs = Number.NEGATIVE_INFINITY
  /** Of all its pages, in their order. */
  records = 0
  readonly #each = new PageRecords()

  private constructor(private readonly keys: KeyHash) {}

  /** `onMarks` gets each page of marks. Rejects when the device does. */
  static async read(
    scanner: ZoneScanner,
    zone: ScannedZone,
    keys: KeyHash,
    onMarks: (bytes: Uint8Array, base: number) => void,
  ): Promise<ZoneTail> {
    const tail = new ZoneTail(keys)
    for await (const page of scanner.tail(zone)) {
      tail.#add(page)
      if (page.kind === KIND_MARKS) onMarks(page.bytes, page.base)
    }
    return tail
  }

  /** Tells a writer that goes on behind it what is in the group that it writes. */
  tell(group: GroupWriter): void {
    for (const { kind, pages, first, records } of this.pages) {
      if (kind === KIND_RUN) group.addRunItem(pages)
      else if (kind === KIND_MARKS) group.addItem(ITEM_MARKS)
      else group.addItem(kind === KIND_SLAB ? records : ITEM_NOTHING)
      for (let i = first; i < first + records; i++) group.addRecord(this.places[i]!, this.tags[i]!)
    }
  }

  #add({ kind, bytes, base, page, pages }: TailPage): void {
    const first = this.records
    if (kind !== 0) this.nextSequence = Math.max(this.nextSequence, sequenceOf(bytes, base) + 1)
    this.#each.begin(kind, bytes, base)
    while (this.#each.next()) {
      this.#addRecord(bytes, this.#each.keyAt, this.#each.keyBytes)
      this.#seen(this.#each.deadlineMs)
    }
    this.pages.push({ kind, page, pages, first, records: this.records - first })
  }

  #seen(deadlineMs: number): void {
    if (deadlineMs > this.lastDeadlineMs) this.lastDeadlineMs = deadlineMs
  }

  #addRecord(bytes: Uint8Array, at: number, keyBytes: number): void {
    if (this.records === this.places.length) {
      this.places = widened(this.places)
      this.tags = widened(this.tags)
    }
    this.keys.hashIn(bytes, at, keyBytes)
    this.places[this.records] = this.keys.place
    this.tags[this.records] = this.keys.tag
    this.records++
  }
}

function widened(column: Int32Array): Int32Array<ArrayBuffer> {
  const wider = new Int32Array(column.length * 2)
  wider.set(column)
  return wider
}
