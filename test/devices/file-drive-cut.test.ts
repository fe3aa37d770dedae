/**
 * Power is cut at every place of the log of a drive's files, and of what was not synced anything may be left: opened again, the
 * drive has everything that a flush or a reset promised, and of the rest nothing that was never written.
 */
import { expect, test } from 'vitest'
import { makeFileDrive, openFileDrive } from '../../devices/index.js'
import { ZoneIoError } from '../../zone-model/index.js'
import { CutFiles } from '../fakes/cut-files.js'
import { randomFrom, seedFromEnvironment } from '../zone-model/tables.js'

const BLOCK = 4096
const ZONE_BYTES = 16 * BLOCK
const ZONES = 5
/** Where the zones in use are: so far apart that their places in the zone table are in different sectors of the disk. */
const PLACES = [0, 1, 70, 140, 200]
const LAYOUT = {
  zoneCount: 201,
  zoneSizeBytes: ZONE_BYTES,
  zoneCapacityBytes: 12 * BLOCK,
  conventionalCount: 1,
  maxOpen: 3,
  maxActive: 3,
}
/** Of each seed, so many cuts and so many operations. */
const ROUNDS = 6
const STEPS = 60
const CUTS_EACH = 2

/** How much of a zone, of which life of it. Of the conventional one: the version of its block. */
interface Extent {
  readonly life: number
  readonly blocks: number
}
type Note =
  | { readonly what: 'floor'; readonly floors: readonly Extent[] }
  | { readonly what: 'began'; readonly zone: number; readonly extent: Extent }

/** A block that says of which life of the zone it is and which it is. */
function fill(block: Uint8Array, zone: number, life: number, index: number): void {
  const words = new Uint32Array(block.buffer, block.byteOffset, block.length / 4)
  for (let at = 0; at < words.length; at++) words[at] = zone * 1e8 + life * 1e4 + index * 100 + 7
}

function payload(zone: number, life: number, from: number, count: number): Uint8Array {
  const bytes = new Uint8Array(count * BLOCK)
  for (let i = 0; i < count; i++)
    fill(bytes.subarray(i * BLOCK, (i + 1) * BLOCK), zone, life, from + i)
  return bytes
}

const tolerated = (error: unknown) => {
  if (!(error instanceof ZoneIoError)) throw error
}

/** Random operations, several at a time. */
async function live(files: CutFiles, random: (below: number) => number): Promise<void> {
  const drive = await openFileDrive('/d', { files, isPrivate: true })
  const lives = new Array<number>(ZONES).fill(0)
  const wps = new Array<number>(ZONES).fill(0)
  const acknowledged: Extent[] = lives.map(() => ({ life: 0, blocks: 0 }))
  const note = (one: Note) => files.note(one)
  const write = async (zone: number) => {
    const count = Math.min(1 + random(4), 12 - wps[zone]!)
    if (count === 0) return
    const [life, from] = [lives[zone]!, wps[zone]!]
    const extent = { life, blocks: from + count }
    note({ what: 'began', zone, extent })
    await drive.append(PLACES[zone]!, payload(zone, life, from, count)).then(() => {
      wps[zone] = from + count
      acknowledged[zone] = extent
    }, tolerated)
  }
  const reset = async (zone: number) => {
    const life = ++lives[zone]!
    note({ what: 'began', zone, extent: { life, blocks: 0 } })
    await drive.reset(PLACES[zone]!)
    wps[zone] = 0
    acknowledged[zone] = { life, blocks: 0 }
    const floors = acknowledged.map((_, at) => (at === zone ? { life, blocks: 0 } : NONE))
    note({ what: 'floor', floors })
  }
  const rewrite = async () => {
    const extent = { life: ++lives[0]!, blocks: 0 }
    note({ what: 'began', zone: 0, extent })
    await drive.write(8, payload(0, extent.life, 0, 1))
    acknowledged[0] = extent
  }
  const flush = async () => {
    const floors = [...acknowledged]
    await drive.flush()
    note({ what: 'floor', floors })
  }
  const busy = new Map<number, Promise<void>>()
  const flushes: Promise<void>[] = []
  for (let step = 0; step < STEPS; step++) {
    const zone = random(ZONES)
    await busy.get(zone)
    const kind = random(12)
    if (kind === 0) flushes.push(flush())
    else if (zone === 0) busy.set(zone, rewrite())
    else if (kind === 1) busy.set(zone, reset(zone))
    else if (kind === 2)
      busy.set(
        zone,
        drive.finish(PLACES[zone]!).then(() => {
          wps[zone] = 12
        }),
      )
    else busy.set(zone, write(zone))
    if (random(3) === 0) await Promise.all([...busy.values(), ...flushes])
  }
  await Promise.all([...busy.values(), ...flushes])
}

const NONE: Extent = { life: -1, blocks: 0 }

function later(a: Extent, b: Extent): Extent {
  return a.life > b.life || (a.life === b.life && a.blocks > b.blocks) ? a : b
}

/** Opens what is left and compares it with what was promised and what was begun. Gives what is wrong. */
async function judge(
  left: Map<string, Uint8Array>,
  notes: readonly Note[],
): Promise<string | null> {
  const floors = new Array<Extent>(ZONES).fill({ life: 0, blocks: 0 })
  const begun: Extent[][] = floors.map(floor => [floor])
  for (const one of notes) {
    if (one.what === 'began') begun[one.zone]!.push(one.extent)
    else
      for (const [zone, floor] of one.floors.entries()) floors[zone] = later(floors[zone]!, floor)
  }
  const drive = await openFileDrive('/d', { files: new CutFiles(() => 0, left), isPrivate: true })
  const zones = await drive.report()
  const active = zones.filter(({ condition }) => condition === 'closed').length
  if (active > 3) return `${active} active zones`
  for (const [zone, place] of PLACES.entries()) {
    const { condition, wpSector, startSector } = zones[place]!
    const bytes = new Uint8Array(ZONE_BYTES)
    await drive.read(startSector, bytes)
    const isFull = condition === 'full'
    const written = isFull ? 12 : (wpSector - startSector) / 8
    const wrong = judgeZone(zone, bytes, written, isFull, floors[zone]!, begun[zone]!)
    if (wrong !== null) return `zone ${zone} (${condition}): ${wrong}`
  }
  await drive.dispose()
  return null
}

/** Whether the blocks of a zone are those of one life, from the first on, and zeros after. */
function judgeZone(
  zone: number,
  bytes: Uint8Array,
  written: number,
  isFull: boolean,
  floor: Extent,
  begun: readonly Extent[],
): string | null {
  const first = new Uint32Array(bytes.buffer)[zone === 0 ? 1024 : 0]!
  if (zone === 0) {
    const life = first === 0 ? 0 : Math.floor((first % 1e8) / 1e4)
    return life < floor.life ? `version ${life}, flushed ${floor.life}` : null
  }
  if (first === 0) {
    const isLegal = floor.blocks === 0 || begun.some(({ life }) => life > floor.life)
    if (!isLegal) return `empty, but ${floor.blocks} blocks of life ${floor.life} were flushed`
    return written === 0 || isFull ? null : `${written} blocks are zeros`
  }
  const life = Math.floor((first % 1e8) / 1e4)
  const most = Math.max(...begun.filter(one => one.life === life).map(({ blocks }) => blocks))
  let own = 0
  while (own < 12) {
    const wanted = payload(zone, life, own, 1)
    if (Buffer.compare(wanted, bytes.subarray(own * BLOCK, (own + 1) * BLOCK)) !== 0) break
    own++
  }
  if (life < floor.life) return `life ${life}, but ${floor.life} was durable`
  if (life === floor.life && own < floor.blocks) return `${own} blocks of ${floor.blocks} flushed`
  if (own > most) return `${own} blocks, but at most ${most} were written`
  if (!isFull && own !== written) return `${own} blocks, write pointer ${written}`
  const isZeros = bytes.subarray(own * BLOCK).every(byte => byte === 0)
  return isZeros ? null : `something else behind ${own} blocks`
}

test('a cut anywhere leaves what was promised', { timeout: 300_000 }, async () => {
  const seed = seedFromEnvironment('cuts')
  const random = randomFrom(seed)
  let cuts = 0
  for (let round = 0; round < ROUNDS; round++) {
    const files = new CutFiles(random)
    await makeFileDrive('/d', LAYOUT, { files })
    const start = files.log.length
    await live(files, random)
    for (let length = start; length <= files.log.length; length++) {
      const entries = files.log.slice(0, length)
      const notes = entries.flatMap(entry => (entry.kind === 'note' ? [entry.note as Note] : []))
      for (let again = 0; again < CUTS_EACH; again++) {
        const wrong = await judge(files.afterCut(length, random), notes)
        if (wrong !== null) expect.fail(`SEED=${seed}, round ${round}, cut at ${length}: ${wrong}`)
        cuts++
      }
    }
  }
  expect(cuts).toBeGreaterThan(ROUNDS * STEPS * CUTS_EACH)
  console.log(`${cuts} cuts`)
})
