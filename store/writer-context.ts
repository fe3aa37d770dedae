/**
 * What the writers of all lifetime classes share: sequences, stages, and the way to new zones.
 */
import { NOW } from './cells.js'
import type { LifetimeClasses } from './lifetime-classes.js'
import { STAGE_BYTES, Stage } from './stage.js'
import { WriteLedger } from './write-ledger.js'
import type { StoreIdentity } from './zone-header.js'
import type { ZoneIo } from './zone-io.js'
import type { ZoneKeeper } from './zone-keeper.js'
import type { WriterContext } from './zone-writer.js'
import type { Zones } from './zones.js'

export class SharedContext implements WriterContext {
  readonly ledger = new WriteLedger()
  readonly #spare: Stage[] = []
  #stages = 0
  #sequence = 1
  #keeper: ZoneKeeper | null = null

  constructor(
    readonly zones: Zones,
    readonly io: ZoneIo,
    readonly identity: StoreIdentity,
    readonly pagesPerZone: number,
    readonly isVolatile: boolean,
    private readonly stagesMax: number,
    private readonly cells: Float64Array,
    readonly classes: LifetimeClasses,
  ) {}

  /** The keeper needs the writers, and they need this. */
  bind(keeper: ZoneKeeper): void {
    this.#keeper = keeper
  }

  takeZone(lifetimeClass: number): number {
    return this.#keeper!.take(lifetimeClass, this.cells[NOW]!)
  }

  mustWait(): boolean {
    return this.#keeper!.mustWait(this.cells[NOW]!)
  }

  nextSequence(): number {
    return this.#sequence++
  }

  get sequence(): number {
    return this.#sequence
  }

  /** After a restart: nothing on the drive has a sequence as high as this. */
  startAt(sequence: number): void {
    this.#sequence = Math.max(this.#sequence, sequence)
  }

  takeStage(): Stage | null {
    const spare = this.#spare.pop()
    if (spare !== undefined) return spare
    if (this.#stages === this.stagesMax) return null
    this.#stages++
    return new Stage(this.io.device.allocate(STAGE_BYTES))
  }

  giveStage(stage: Stage): void {
    this.#spare.push(stage)
  }
}
