/**
 * Lives of a simulated drive: random requests and flushes, and at every event of its disk a power cut, of which the drive must
 * come back as the model allows. At the end of a life the drive goes on from one of those cuts.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Image } from '../../image/index.js'
import { wpOf } from '../../zone-model/index.js'
import { Prng } from '../fakes/prng.js'
import { type Fault, SimDisk } from './disk.js'
import { SimDrive } from './drive.js'
import { NEVER, SECTOR } from './model.js'
import { type Shape, shapeOf } from './shape.js'

const LIVES = 3
const STEPS = 40
const ERRNO = { ENOSPC: -28, EIO: -5 } as const

export interface LifeResult {
  points: number
  flushes: number
  failedFlushes: number
}

/** What went wrong, when, and how to see it again. */
export class SimFailure extends Error {
  override readonly name = 'SimFailure'
}

/** All lives of one seed. `faults`: calls of the disk fail now and then. Throws SimFailure. */
export class Simulation {
  readonly result: LifeResult = { points: 0, flushes: 0, failedFlushes: 0 }
  readonly #rng: Prng
  /** Of its own, so that the run is the same however many cuts are looked at. */
  readonly #cutRng: Prng
  readonly #shape: Shape
  readonly #root: string
  readonly #history: string[] = []
  #disk!: SimDisk
  #drive!: SimDrive
  #isCommitting = false
  /** The sync of `data`, or of the tier, has failed: no flush can succeed any more. */
  #isLost = false

  constructor(
    readonly seed: number,
    private readonly hasFaults: boolean,
    private readonly pointsMax = Number.POSITIVE_INFINITY,
  ) {
    this.#rng = new Prng(seed)
    this.#cutRng = new Prng(seed ^ 0x5eed)
    this.#shape = shapeOf(this.#rng)
    this.#root = mkdtempSync('/dev/shm/zslab-sim-')
  }

  async run(): Promise<LifeResult> {
    try {
      const first = join(this.#root, 'image-0')
      const { description, tier } = this.#shape
      const choice = tier === null ? null : { path: 'tier', slotCount: tier.slotCount }
      Image.create(first, description, undefined, choice)
      await this.#live(first, null)
      for (let life = 1; life < LIVES && !this.#isEnough(); life++) {
        const next = join(this.#root, `image-${life}`)
        this.#disk.cut(next, this.#cutRng)
        const before = this.#drive
        before.close()
        await this.#live(next, before)
      }
      this.#drive.close()
      return this.result
    } catch (error) {
      const { message, stack } = error as Error
      const history = this.#history.slice(-40).join('\n  ')
      throw new SimFailure(
        `${message}\nafter:\n  ${history}\nagain: npm run sim -- --seed ${this.seed}${this.hasFaults ? ' --faults' : ''}\n${stack}`,
      )
    } finally {
      rmSync(this.#root, { recursive: true, force: true })
    }
  }

  #isEnough(): boolean {
    return this.result.points >= this.pointsMax
  }

  async #live(directory: string, before: SimDrive | null): Promise<void> {
    this.#history.push(`--- life in ${directory}`)
    this.#disk = new SimDisk(
      directory,
      what => this.#event(what),
      step => this.#others(step),
    )
    this.#isLost = false
    const names = ['superblock', 'map', 'journal', 'data']
    this.#disk.adopt(this.#shape.tier === null ? names : [...names, 'tier'])
    const state = join(this.#root, 'state')
    this.#drive = new SimDrive(this.#shape, directory, state, this.#rng, this.#disk)
    if (before !== null) inherit(before, this.#drive)
    for (let i = 0; i < STEPS && !this.#isEnough() && !this.#isLost; i++) {
      if (this.#rng.below(9) === 0) this.#flush()
      else this.#step()
      const wentOn = await this.#drive.tier?.breathe()
      if (wentOn === true && this.#disk.capture()) this.#event('the tierer went on')
    }
  }

  #step(): void {
    this.#drive.time++
    const what = this.#drive.step()
    if (what === 'nothing') return
    this.#history.push(what)
    if (this.#disk.capture()) this.#event(what)
  }

  #flush(): void {
    this.#history.push('flush')
    const { code, countdown } = {
      code: this.#rng.pick(['ENOSPC', 'EIO'] as const),
      countdown: this.#rng.below(8),
    }
    const fault: Fault | null =
      this.hasFaults && this.#rng.below(2) === 0
        ? { code, errno: ERRNO[code], countdown, hit: null }
        : null
    this.#disk.fault = fault
    this.#isCommitting = true
    const result = this.#drive.flush()
    this.#isCommitting = false
    this.#disk.fault = null
    this.#history.push(`flush gave ${result}${fault?.hit ? `, ${fault.code} in ${fault.hit}` : ''}`)
    if (result === 0) this.result.flushes++
    else this.result.failedFlushes++
    if (result !== 0) this.#afterFailure(fault, result)
    if (this.#disk.capture()) this.#event('after flush')
  }

  #afterFailure(fault: Fault | null, result: number): void {
    if (fault === null || fault.hit === null || result !== fault.errno)
      throw new Error(`the flush gave ${result} without a fault that says so`)
    const again = this.#drive.flush()
    this.#isLost = fault.hit === 'sync data' || fault.hit === 'sync tier'
    if (this.#isLost ? again === fault.errno : again === 0) return
    throw new Error(`the flush after a fault in ${fault.hit} gave ${again}`)
  }

  /** Other threads, in the middle of a commit. */
  #others(step: string): void {
    if (!this.#isCommitting) return
    for (let i = this.#rng.below(4); i > 0; i--) {
      this.#history.push(`  (${step})`)
      this.#step()
    }
  }

  /** Power goes; comes back; and the drive must be what the model allows. */
  #event(what: string): void {
    if (this.#isEnough()) return
    this.result.points++
    const target = join(this.#root, 'cut')
    this.#disk.cut(target, this.#cutRng)
    const state = join(this.#root, 'cut-state')
    let found: SimDrive | null = null
    try {
      found = new SimDrive(this.#shape, target, state, new Prng(this.#cutRng.next()))
      judge(this.#drive, found)
      if (this.#cutRng.below(8) === 0) {
        goOn(this.#drive, found, this.#cutRng)
        found.close()
        const again = new SimDrive(this.#shape, target, state, new Prng(0))
        const before = found
        found = again
        judge(before, again)
      }
    } catch (error) {
      const { message } = error as Error
      throw new Error(`power cut after "${what}", point ${this.result.points}: ${message}`, {
        cause: error,
      })
    } finally {
      found?.close()
    }
  }
}

/** Throws when `found`, which power was taken from, is not what `drive` allows. */
function judge(drive: SimDrive, found: SimDrive): void {
  const { conventionalCount, zoneCount } = drive.geometry
  let closed = 0
  for (let zone = conventionalCount; zone < zoneCount; zone++) {
    const is = found.find(zone)
    if (is.isClosed) closed++
    const wrong = drive.sequential[zone - conventionalCount]!.judge(is, drive.flushedAt)
    if (wrong !== null) throw new Error(`zone ${zone}: ${wrong}`)
  }
  const wrong = drive.inPlace.judge(found.findInPlace(), drive.flushedAt)
  if (wrong !== null) throw new Error(wrong)
  const { table } = found
  if (table.implicitOpen !== 0 || table.explicitOpen !== 0 || table.closed !== closed)
    throw new Error(
      `counts ${table.implicitOpen} ${table.explicitOpen} ${table.closed} open, open, closed; ${closed} are`,
    )
  if (closed > table.maxActive)
    throw new Error(`${closed} zones are active, at most ${table.maxActive} may`)
}

/** What came back is the truth from now on. */
function inherit(before: SimDrive, drive: SimDrive): void {
  judge(before, drive)
  const { conventionalCount } = drive.geometry
  for (const [index, zone] of drive.sequential.entries()) {
    const found = drive.find(conventionalCount + index)
    const { epoch } = zone
    Object.assign(epoch, { resets: found.resets })
    const count = found.wp
    const bytes = found.bytes.subarray(0, count * SECTOR)
    if (count > 0) epoch.writes.push({ offset: 0, count, bytes, ackedAt: -2, hasFailed: false })
    if (found.isFull) epoch.finishedAt = epoch.finishAckedAt = -2
  }
  const bytes = drive.findInPlace()
  for (const [sector, versions] of drive.inPlace.sectors.entries())
    versions.splice(0, 1, {
      bytes: bytes.subarray(sector * SECTOR, (sector + 1) * SECTOR),
      ackedAt: -2,
    })
}

/** The drive can be written on, and keeps what it is given when power goes again. */
function goOn(drive: SimDrive, found: SimDrive, rng: Prng): void {
  inherit(drive, found)
  // Nothing but finishes, sometimes: the page map is not touched, and what is behind old write pointers must be gone.
  const isFinishing = rng.below(2) === 0
  for (let i = 0; i < 10; i++) {
    found.time++
    if (isFinishing) found.finish(0)
    else found.step()
  }
  const result = found.flush(isFinishing)
  if (result !== 0) throw new Error(`the first flush after a power cut gave ${result}`)
  const { geometry } = found
  for (let zone = geometry.conventionalCount; zone < geometry.zoneCount; zone++) {
    const wp = wpOf(found.table.load(zone))
    const is = found.find(zone)
    const model = found.sequential[zone - geometry.conventionalCount]!
    const written = model.epoch.writes.filter(({ ackedAt }) => ackedAt !== NEVER)
    for (const { offset, count, bytes } of written) {
      const isDiscarded = model.epoch.discards.length > 0
      if (isDiscarded || offset + count > wp) continue
      const at = is.bytes.subarray(offset * SECTOR, (offset + count) * SECTOR)
      if (!at.equals(bytes))
        throw new Error(
          `zone ${zone}: ${offset}+${count} written after a power cut reads otherwise`,
        )
    }
  }
}
