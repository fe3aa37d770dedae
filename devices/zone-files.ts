/**
 * The files of a drive's zones, one each: opened when they are needed, made when they are first written, and no more of them
 * open at a time than a process may have.
 */
import type { DriveFile, DriveFiles } from './drive-files.js'

interface Opened {
  readonly file: Promise<DriveFile>
  users: number
}

const NAME = /^zone-(\d{5})$/

function nameOf(zone: number): string {
  return `zone-${String(zone).padStart(5, '0')}`
}

export class ZoneFiles {
  /** In the order of use. */
  readonly #opened = new Map<number, Opened>()
  /** Files made since the last syncNames(). */
  #made = 0

  private constructor(
    private readonly files: DriveFiles,
    private readonly directory: string,
    private readonly there: Set<number>,
    private readonly openMax: number,
  ) {}

  static async find(files: DriveFiles, directory: string, openMax: number): Promise<ZoneFiles> {
    const names = await files.list(directory)
    const zones = names.map(name => NAME.exec(name)?.[1]).filter(digits => digits !== undefined)
    return new ZoneFiles(files, directory, new Set(zones.map(Number)), openMax)
  }

  pathOf(zone: number): string {
    return `${this.directory}/${nameOf(zone)}`
  }

  has(zone: number): boolean {
    return this.there.has(zone)
  }

  /** Does something with the zone's file, which is made if it is not there. */
  async use<T>(zone: number, work: (file: DriveFile) => Promise<T>): Promise<T> {
    const opened = this.#open(zone)
    opened.users++
    try {
      return await work(await opened.file)
    } finally {
      opened.users--
      if (this.#opened.size > this.openMax) this.#closeOldest()
    }
  }

  /** When it resolves, files made before the call are there after a power cut. */
  async syncNames(): Promise<void> {
    const made = this.#made
    if (made === 0) return
    await this.files.syncDirectory(this.directory)
    this.#made -= made
  }

  async close(): Promise<void> {
    const all = [...this.#opened.values()]
    this.#opened.clear()
    await Promise.all(all.map(async ({ file }) => (await file).close()))
  }

  #open(zone: number): Opened {
    const known = this.#opened.get(zone)
    if (known !== undefined) {
      // To the end of the order, but not for each page that is read while there is room.
      if (this.#opened.size < this.openMax) return known
      this.#opened.delete(zone)
      this.#opened.set(zone, known)
      return known
    }
    const isNew = !this.there.has(zone)
    const file = this.files.open(this.pathOf(zone), isNew)
    const opened = { file, users: 0 }
    this.#opened.set(zone, opened)
    if (isNew) this.there.add(zone)
    file.then(
      () => {
        if (isNew) this.#made++
      },
      () => {
        if (this.#opened.get(zone) === opened) this.#opened.delete(zone)
        if (isNew) this.there.delete(zone)
      },
    )
    return opened
  }

  #closeOldest(): void {
    for (const [zone, { file, users }] of this.#opened) {
      if (users > 0) continue
      this.#opened.delete(zone)
      // Nothing hangs on it: what was written is the kernel's, and the next sync has a descriptor of its own.
      void file.then(one => one.close()).catch(() => {})
      return
    }
  }
}
