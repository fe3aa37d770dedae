/**
 * All marks of a store: which records on its device are dead, for a reader that has no index in memory.
 */
import { type IndexReader, readIndex } from './group-index.js'
import { KIND_MARKS, kindOf } from './layout.js'
import { MarkList, readMarks } from './marks.js'
import type { ScannedZone, ZoneScanner } from './zone-scan.js'

export class MarkBook {
  /** By zone sequence: page × 256 + record of each dead copy. */
  readonly #marked = new Map<number, Set<number>>()

  /** Adds the marks that lie in a zone. Rejects when the device does. */
  async gather(scanner: ZoneScanner, zone: ScannedZone): Promise<void> {
    const pages: number[] = []
    const reader: IndexReader = { onPage() {}, onRecord() {}, onMarks: page => pages.push(page) }
    for (const { index, trailer } of zone.groups) readIndex(index, trailer, reader)
    for (const page of pages) {
      const bytes = await scanner.read(zone.physical, page, 1)
      if (kindOf(bytes, 0) === KIND_MARKS) this.#add(bytes, 0)
    }
    for await (const { kind, bytes, base } of scanner.tail(zone)) {
      if (kind === KIND_MARKS) this.#add(bytes, base)
    }
  }

  #add(bytes: Uint8Array, base: number): void {
    const list = new MarkList()
    readMarks(bytes, base, list)
    for (let index = 0; index < list.length; index++) {
      const sequence = list.zoneSequenceOf(index)
      const set = this.#marked.get(sequence) ?? new Set()
      set.add(list.pageOf(index) * 256 + list.recordOf(index))
      this.#marked.set(sequence, set)
    }
  }

  isDead(zoneSequence: number, page: number, record: number): boolean {
    return this.#marked.get(zoneSequence)?.has(page * 256 + record) ?? false
  }
}
