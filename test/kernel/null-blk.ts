/**
 * A zoned null_blk with memory, made through configfs: the kernel's own emulation, to compare with.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { run, tick } from './harness.js'

const MIB = 1024 * 1024

export interface NullBlkLayout {
  zones: number
  conventional?: number
  /** Bytes, whole MiB. */
  zoneSize: number
  zoneCapacity: number
  maxOpen: number
  maxActive: number
}

let made = 0

/** null where the kernel has no null_blk. */
export async function nullBlk(
  layout: NullBlkLayout,
): Promise<{ path: string; remove(): void } | null> {
  if ((await run('modprobe', ['null_blk', 'nr_devices=0'])).code !== 0) return null
  await run('mount', ['-t', 'configfs', 'none', '/sys/kernel/config'])
  const name = `zslab${made++}`
  const folder = `/sys/kernel/config/nullb/${name}`
  mkdirSync(folder)
  const set = (name: string, value: number) => writeFileSync(`${folder}/${name}`, String(value))
  set('size', (layout.zones * layout.zoneSize) / MIB)
  set('blocksize', 4096)
  set('memory_backed', 1)
  set('zoned', 1)
  set('zone_size', layout.zoneSize / MIB)
  set('zone_capacity', layout.zoneCapacity / MIB)
  set('zone_nr_conv', layout.conventional ?? 0)
  set('zone_max_open', layout.maxOpen)
  set('zone_max_active', layout.maxActive)
  set('power', 1)
  const index = readFileSync(`${folder}/index`, 'utf8').trim()
  const path = existsSync(`/dev/${name}`) ? `/dev/${name}` : `/dev/nullb${index}`
  while (!existsSync(path)) await tick()
  return { path, remove: () => rmdirSync(folder) }
}
