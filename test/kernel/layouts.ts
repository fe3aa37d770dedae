/**
 * The device layouts that kernel tests run on: with and without conventional zones, capacity equal to and below the size,
 * one and two queues. Four of the eight combinations meet every pair.
 */
const MIB = 1024 * 1024

export interface Layout {
  name: string
  options: Record<string, unknown>
}

const base = { zones: 32, zoneSize: 4 * MIB, maxOpen: 6, maxActive: 8 }

const ALL: readonly Layout[] = [
  { name: 'sequential, capacity = size, 1 queue', options: { ...base, queues: 1 } },
  {
    name: 'sequential, capacity < size, 2 queues',
    options: { ...base, zoneCapacity: 3 * MIB, queues: 2 },
  },
  {
    name: 'conventional, capacity = size, 2 queues',
    options: { ...base, conventional: 4, queues: 2 },
  },
  {
    name: 'conventional, capacity < size, 1 queue',
    options: { ...base, conventional: 4, zoneCapacity: 3 * MIB, queues: 1 },
  },
]

/** Where kernels share the work (scripts/test.mjs), each takes the layouts with so many queues. */
const queues = process.env['ZSLAB_LAYOUT_QUEUES']

/** There is less time too: tests that do a thing again and again do it half as often there. */
export const isSample = queues !== undefined

export const LAYOUTS = ALL.filter(
  ({ options }) => queues === undefined || options['queues'] === Number(queues),
)
