/**
 * The pages of marks in a zone, found by its indexes, and behind the last of them one by one.
 */
import { type IndexReader, mayHoldMarks, readIndex } from './group-index.js'
import { KIND_MARKS, kindOf, PAGE_BYTES } from './layout.js'
import type { ScannedZone, ZoneScanner } from './zone-scan.js'

/** Pages of marks that lie side by side are read at once, as many as this. */
const READ_PAGES = 64

/** Where a page of marks is in memory; until the next is asked for. */
export interface MarksPage {
  readonly bytes: Uint8Array
  readonly base: number
}

/** Damaged ones are left out. Rejects when the device does. */
export async function* marksPages(
  scanner: ZoneScanner,
  zone: ScannedZone,
): AsyncGenerator<MarksPage> {
  yield* indexedMarksPages(scanner, zone)
  for await (const { kind, bytes, base } of scanner.tail(zone)) {
    if (kind === KIND_MARKS) yield { bytes, base }
  }
}

/** Those of which the zone's indexes speak. */
export async function* indexedMarksPages(
  scanner: ZoneScanner,
  { physical, groups }: ScannedZone,
): AsyncGenerator<MarksPage> {
  const pages: number[] = []
  const reader: IndexReader = { onPage() {}, onMarks: page => pages.push(page) }
  for (const { index, trailer } of groups) {
    if (mayHoldMarks(index, trailer)) readIndex(index, trailer, reader)
  }
  for (let at = 0; at < pages.length; ) {
    const first = pages[at]!
    let length = 1
    while (length < READ_PAGES && pages[at + length] === first + length) length++
    const bytes = await scanner.read(physical, first, length)
    for (let base = 0; base < bytes.length; base += PAGE_BYTES) {
      if (kindOf(bytes, base) === KIND_MARKS) yield { bytes, base }
    }
    at += length
  }
}
