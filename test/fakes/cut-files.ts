/**
 * Files in memory that lose power: every change and sync is logged, and `afterCut` makes the files that a power cut at a place
 * of the log may leave.
 *
 * Of what was not synced, anything may be there: any of the changes, in units of 512 bytes. Names are durable after a sync of
 * the directory, and may be before. Calls take some turns of the event loop, so that others come in between.
 */
import type { DriveFile, DriveFiles } from '../../devices/drive-files.js'

const SECTOR = 512

/** A number from 0 to below. */
export type Random = (below: number) => number

type Change =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly bytes: number }

type Entry =
  | { readonly kind: 'change'; readonly file: number; readonly change: Change }
  /** Of everything that the file had before entry `from`. */
  | { readonly kind: 'sync'; readonly file: number; readonly from: number }
  | { readonly kind: 'name'; readonly path: string; readonly file: number | null }
  | { readonly kind: 'syncNames'; readonly from: number }
  /** What the test wants to remember at this place. */
  | { readonly kind: 'note'; readonly note: unknown }

function apply(contents: Uint8Array, change: Change): Uint8Array {
  if (change.kind === 'truncate') {
    const cut = new Uint8Array(change.bytes)
    cut.set(contents.subarray(0, change.bytes))
    return cut
  }
  const end = Math.max(contents.length, change.offset + change.bytes.length)
  const grown = end === contents.length ? contents : new Uint8Array(end)
  if (grown !== contents) grown.set(contents)
  grown.set(change.bytes, change.offset)
  return grown
}

export class CutFiles implements DriveFiles {
  readonly log: Entry[] = []
  readonly #contents: Uint8Array[] = []
  readonly #names = new Map<string, number>()

  constructor(
    private readonly random: Random,
    existing: ReadonlyMap<string, Uint8Array> = new Map(),
  ) {
    for (const [path, bytes] of existing) {
      this.#names.set(path, this.#contents.length)
      this.#contents.push(bytes)
    }
  }

  note(note: unknown): void {
    this.log.push({ kind: 'note', note })
  }

  async open(path: string, create: boolean): Promise<DriveFile> {
    await this.#turns()
    let file = this.#names.get(path)
    if (file === undefined) {
      if (!create) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT', errno: -2 })
      file = this.#contents.push(new Uint8Array(0)) - 1
      this.#name(path, file)
    }
    return this.#file(file)
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#turns()
    const file = this.#names.get(from)!
    this.#name(to, file)
    this.#names.delete(from)
    this.log.push({ kind: 'name', path: from, file: null })
  }

  async makeDirectory(): Promise<void> {}

  async list(path: string): Promise<string[]> {
    return [...this.#names.keys()].map(name => name.slice(path.length + 1))
  }

  async syncDirectory(): Promise<void> {
    const from = this.log.length
    await this.#turns()
    this.log.push({ kind: 'syncNames', from })
  }

  /** The files after a power cut behind the first `length` entries of the log, as one of those there may be. */
  afterCut(length: number, random: Random): Map<string, Uint8Array> {
    const log = this.log.slice(0, length)
    const keeps = [() => false, () => true, () => random(2) === 0][random(3)]!
    const safe = new Map<number, number>()
    let namesSafe = 0
    for (const entry of log) {
      if (entry.kind === 'sync') safe.set(entry.file, entry.from)
      if (entry.kind === 'syncNames') namesSafe = entry.from
    }
    const contents = new Map<number, Uint8Array>()
    const names = new Map<string, number>()
    for (const [index, entry] of log.entries()) {
      if (entry.kind === 'name' && (index < namesSafe || keeps())) {
        if (entry.file === null) names.delete(entry.path)
        else names.set(entry.path, entry.file)
      }
      if (entry.kind !== 'change') continue
      const before = contents.get(entry.file) ?? new Uint8Array(0)
      const isSafe = index < (safe.get(entry.file) ?? 0)
      const parts = isSafe ? [entry.change] : torn(entry.change, keeps)
      contents.set(entry.file, parts.reduce(apply, before))
    }
    return new Map(
      [...names].map(([path, file]) => [path, contents.get(file)?.slice() ?? new Uint8Array(0)]),
    )
  }

  #name(path: string, file: number): void {
    this.#names.set(path, file)
    this.log.push({ kind: 'name', path, file })
  }

  #file(file: number): DriveFile {
    const change = async (one: Change) => {
      await this.#turns()
      this.log.push({ kind: 'change', file, change: one })
      this.#contents[file] = apply(this.#contents[file]!, one)
    }
    return {
      read: async (offset, target) => {
        await this.#turns()
        const found = this.#contents[file]!.subarray(offset, offset + target.length)
        target.set(found)
        return found.length
      },
      write: (offset, source) => change({ kind: 'write', offset, bytes: source.slice() }),
      truncate: bytes => change({ kind: 'truncate', bytes }),
      size: async () => this.#contents[file]!.length,
      sync: async () => {
        const from = this.log.length
        await this.#turns()
        this.log.push({ kind: 'sync', file, from })
      },
      close: async () => {},
    }
  }

  async #turns(): Promise<void> {
    for (let turn = this.random(4); turn > 0; turn--) await Promise.resolve()
  }
}

/** What of a change that was not synced is there. */
function torn(change: Change, keeps: () => boolean): Change[] {
  if (change.kind === 'truncate') return keeps() ? [change] : []
  const parts: Change[] = []
  for (let at = 0; at < change.bytes.length; at += SECTOR) {
    if (!keeps()) continue
    const bytes = change.bytes.subarray(at, at + SECTOR)
    parts.push({ kind: 'write', offset: change.offset + at, bytes })
  }
  return parts
}
