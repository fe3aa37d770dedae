/**
 * The daemon's tierer in a simulated drive: its steps begin anywhere, in the middle of a commit too, go as far as they need
 * nobody, and go on when a flush that began later has ended.
 */
import { setImmediate } from 'node:timers/promises'
import { Tierer, type TiererOptions } from '../../daemon/tierer.js'
import { zoneStates } from '../../daemon/zone-states.js'
import type { NativeMedia } from '../../ublk-native/index.js'
import type { Geometry, ZoneTable } from '../../zone-model/index.js'

type Options = Pick<TiererOptions, 'slotCount' | 'coldMs' | 'budgetBytesPerSecond' | 'nowMs'> & {
  media: NativeMedia
  table: ZoneTable
  geometry: Geometry
}

export class SimTier {
  readonly #tierer: Tierer
  readonly #media: NativeMedia
  #isUnderWay = false
  #failure: unknown = null
  /** Who waits for a commit: told whether it is durable. */
  #waiting: ((isDurable: boolean) => void)[] = []

  constructor({ table, geometry, ...options }: Options) {
    this.#media = options.media
    this.#tierer = new Tierer({
      ...options,
      firstRegion: geometry.conventionalCount,
      endRegion: geometry.zoneCount,
      zone: zoneStates(table, geometry),
      limitBytes: 0,
      // No read goes on while something else does.
      untilTurnsEnd: () => Promise.resolve(),
      untilDurable: () => new Promise(resolve => this.#waiting.push(resolve)),
      onProblem: (action, result) => {
        throw new Error(`the tierer failed: ${action} ${result}`)
      },
    })
  }

  /** A step, up to where it has to wait. */
  step(): string {
    if (this.#isUnderWay) return 'nothing'
    this.#isUnderWay = true
    this.#tierer.step().then(
      () => {
        this.#isUnderWay = false
      },
      error => {
        this.#failure = error
      },
    )
    return `tier: ${this.#media.stats().tier.pages} pages are there`
  }

  /** Gives how those who wait are to be told of the commit that begins now. */
  commitBegins(): (isDurable: boolean) => void {
    const waiting = this.#waiting.splice(0)
    return isDurable => {
      for (const tell of waiting) tell(isDurable)
    }
  }

  /** Lets a step go on, if what it waits for has come; whether one was under way. */
  async breathe(): Promise<boolean> {
    if (!this.#isUnderWay) return false
    await setImmediate()
    if (this.#failure !== null) throw this.#failure
    return true
  }
}
