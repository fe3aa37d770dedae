/**
 * The parts of a store that share the zones of its device, put together: tables, index, writers, keeper, engine.
 */
import { CELL_COUNT } from './cells.js'
import { Engine } from './engine.js'
import { Heat } from './heat.js'
import { KeyHash } from './key-hash.js'
import { LeavingZones } from './leaving-zones.js'
import type { LifetimeClasses } from './lifetime-classes.js'
import { MarkList } from './marks.js'
import { ObjectIndex } from './object-index.js'
import { SharedContext } from './writer-context.js'
import type { StoreIdentity } from './zone-header.js'
import type { ZoneIo } from './zone-io.js'
import { ZoneKeeper } from './zone-keeper.js'
import { ZoneWriter } from './zone-writer.js'
import type { Zones } from './zones.js'

export interface SpaceOptions {
  readonly io: ZoneIo
  readonly zones: Zones
  readonly identity: StoreIdentity
  readonly classes: LifetimeClasses
  readonly pagesPerZone: number
  /** So many zones are used at most. */
  readonly zonesMax: number
  /** Whether a zone whose objects live may go when there is no other room. */
  readonly evicts: boolean
  /** Whether the hottest records of such a zone move before. */
  readonly reinserts: boolean
}

export interface Space {
  readonly zones: Zones
  readonly writers: readonly ZoneWriter[]
  /** Of the next commit, by lifetime class. */
  readonly marks: readonly MarkList[]
  readonly leaving: LeavingZones
  readonly keeper: ZoneKeeper
  readonly context: SharedContext
  readonly engine: Engine
}

export function makeSpace(options: SpaceOptions): Space {
  const { io, zones, identity, classes, pagesPerZone, zonesMax } = options
  // Nobody outlives a drive in memory: it has no marks.
  const isVolatile = io.device.direct !== undefined
  const cells = new Float64Array(CELL_COUNT)
  const index = new ObjectIndex({ pagesPerZone, zones: zonesMax })
  const marks = Array.from({ length: classes.count }, () => new MarkList())
  const leaving = new LeavingZones({ io, zones, pagesPerZone, marks, classes, cells })
  const writers: ZoneWriter[] = []
  const twins = new Set<number>()
  const keeper = new ZoneKeeper({
    ...{
      zones,
      index,
      io,
      writers,
      twins,
      pagesPerZone,
      evicts: options.evicts,
      reinserts: options.reinserts,
    },
    leaving: isVolatile ? null : leaving,
  })
  const context = new SharedContext(
    ...([zones, io, identity, pagesPerZone, isVolatile, 2 * classes.count] as const),
    ...([cells, classes] as const),
  )
  context.bind(keeper)
  for (let each = 0; each < classes.count; each++) writers.push(new ZoneWriter(context, each))
  const engine = new Engine({
    ...{ index, zones, keeper, writers, classes, pagesPerZone, cells, twins },
    keys: new KeyHash(identity.seeds[0], identity.seeds[1]),
    ledger: context.ledger,
    marks: isVolatile ? null : marks,
    heat: options.reinserts ? new Heat(zonesMax * pagesPerZone) : null,
  })
  return { zones, writers, marks, leaving, keeper, context, engine }
}
