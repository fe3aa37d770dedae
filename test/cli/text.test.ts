/**
 * What people read, to the letter: reports, devices, refusals, statistics, and the parts that they are made of.
 */
import { describe, expect, it } from 'vitest'
import { formatDevice, formatDevices } from '../../cli/device.js'
import { formatRefusals } from '../../cli/explain.js'
import { formatWelcome } from '../../cli/start.js'
import { formatStats } from '../../cli/stats.js'
import {
  fillBar,
  formatCount,
  formatSize,
  formatTable,
  left,
  right,
  zoneMap,
} from '../../cli/table.js'
import { formatReport, toRanges } from '../../cli/zone.js'
import { device, refusal, report, statsOf } from './samples.js'

describe('parts', () => {
  it('fillBar never rounds to empty or full', () => {
    expect(fillBar(0)).toBe('[..........]   0%')
    expect(fillBar(0.0001)).toBe('[#.........]   1%')
    expect(fillBar(0.5)).toBe('[#####.....]  50%')
    expect(fillBar(0.9999)).toBe('[#########.]  99%')
    expect(fillBar(1)).toBe('[##########] 100%')
  })

  it('formatSize and formatCount', () => {
    expect([0, 512, 1536, 67108864, 1024 ** 4 * 3].map(formatSize)).toEqual([
      ...['0 B', '512 B', '1.5 KiB', '64 MiB', '3 TiB'],
    ])
    expect([0, 999, 1000, 1234567].map(formatCount)).toEqual(['0', '999', '1,000', '1,234,567'])
  })

  it('formatTable aligns and leaves no trailing blanks', () => {
    const text = formatTable(
      [left('NAME'), right('N')],
      [
        ['a', '1'],
        ['long name', '23'],
        ['x', ''],
      ],
    )
    expect(text).toBe('NAME        N\na           1\nlong name  23\nx\n')
  })

  it('zoneMap breaks after 64 zones', () => {
    const zones = Array.from({ length: 66 }, (_, zone) => ({ zone, condition: 'empty' as const }))
    expect(zoneMap(zones)).toBe(` 0  ${'.'.repeat(64)}\n64  ..\nkey: . empty\n`)
  })

  it('toRanges joins neighbours', () => {
    expect(toRanges([])).toEqual([])
    expect(toRanges([3])).toEqual([{ first: 3, count: 1 }])
    expect(toRanges([1, 2, 3, 7, 9, 10])).toEqual([
      { first: 1, count: 3 },
      { first: 7, count: 1 },
      { first: 9, count: 2 },
    ])
  })
})

it('zone report', () => {
  expect(formatReport(report)).toMatchInlineSnapshot(`
    "/dev/ublkb0: 8 zones of 4 MiB, capacity 3 MiB (sectors of 512 B; WP from the zone's start)
    ZONE  TYPE  CONDITION      START    WP  CAPACITY  WRITTEN            RESETS
       0  conv  conventional       0     -      8192
       1  seq   empty           8192     0      6144  [..........]   0%
       2  seq   implicit-open  16384     8      6144  [#.........]   1%
       3  seq   explicit-open  24576  3072      6144  [#####.....]  50%
       4  seq   closed         32768  6136      6144  [#########.]  99%
       5  seq   full           40960     -      6144  [##########] 100%       2
       6  seq   read-only      49152     -      6144  [..........]   0%
       7  seq   offline        57344     -      6144  [..........]   0%
    0  -.oOc#rx
    key: - conventional  . empty  o implicit-open  O explicit-open  c closed  # full  r read-only  x offline
    8 zones: 1 conventional, 1 empty, 1 implicit-open, 1 explicit-open, 1 closed, 1 full, 1 read-only, 1 offline; open 2 (of 3), active 3 (no limit)
    "
  `)
  expect(formatReport({ ...report, zones: [] })).toMatchInlineSnapshot(`
    "/dev/ublkb0: 8 zones of 4 MiB, capacity 3 MiB (sectors of 512 B; WP from the zone's start)
    0 of 8 zones: none matches; open 2 (of 3), active 3 (no limit)
    "
  `)
})

it('device show and list', () => {
  expect(formatDevice(device)).toMatchInlineSnapshot(`
    "path           /dev/ublkb0
    state          live
    daemon         pid 4242
    size           32 MiB
    zones          8 of 4 MiB, 1 conventional
    zone capacity  3 MiB
    max open       3
    max active     no limit
    max append     1 MiB
    block          4 KiB
    queues         1 of depth 128
    recovery       yes
    same-fill      yes
    compression    lz4
    memory limit   1 MiB
    image          none: it lives in memory
    tier           /var/tmp/tier, 64 MiB/s, zones are cold after 30 s
    latency        none
    profile        default
    "
  `)
  expect(
    formatDevices([device, { ...device, id: 12, path: '/dev/ublkb12', state: 'orphan', pid: 0 }]),
  ).toMatchInlineSnapshot(`
    "DEVICE        STATE    PID    SIZE  ZONES  ZONE SIZE  CAPACITY  OPEN    ACTIVE  QUEUES  DEPTH
    /dev/ublkb0   live    4242  32 MiB      8      4 MiB     3 MiB     3  no limit       1    128
    /dev/ublkb12  orphan     -  32 MiB      8      4 MiB     3 MiB     3  no limit       1    128
    "
  `)
  expect(formatDevices([])).toMatchInlineSnapshot(`
    "no devices; \`zslab device create\` makes one
    "
  `)
})

it('explain', () => {
  const full = { condition: 'full' as const, writePointerSectors: 0 }
  const other = {
    ...refusal,
    sequence: 13,
    op: 'zone open',
    sectors: 0,
    before: full,
    status: 0x1bf,
    statusName: 'Invalid Zone State Transition',
    rule: 'a full zone cannot be opened',
    hint: 'reset it first',
  }
  expect(formatRefusals([refusal, other], '/dev/ublkb0')).toMatchInlineSnapshot(`
    "/dev/ublkb0: the last 2 refused I/Os, newest last

    #12  03:04:05.678Z  queue 0
      came:    write of 8 sectors at sector 16400, which is offset 16 of zone 2
      before:  zone 2 was implicit-open, its write pointer at offset 8
      refused: a write to a sequential zone begins at its write pointer
               NVMe status 0x1bc Zone Invalid Write; the program got EIO
      to do:   write at offset 8, or reset the zone

    #13  03:04:05.678Z  queue 0
      came:    zone open at sector 16400, which is offset 16 of zone 2
      before:  zone 2 was full
      refused: a full zone cannot be opened
               NVMe status 0x1bf Invalid Zone State Transition; the program got EIO
      to do:   reset it first
    "
  `)
  expect(formatRefusals([], '/dev/ublkb0')).toBe('/dev/ublkb0: no I/O was refused\n')
})

it('stats', () => {
  expect(formatStats({ stats: statsOf(1234), atMs: 0 }, null)).toMatchInlineSnapshot(`
    "/dev/ublkb0  live, 1 conventional, 6 empty, 1 full

    reads          2 (8 KiB)
    writes         1,234 (4.8 MiB)
    appends        0 (0 B)
    flushes        1
    discards       0
    zone commands  3
    zone reports   4
    refused        1 (\`zslab explain\` says why)
    failed         0
    turns          1,000, 2.50 requests a turn
    orig data      4.0 MiB
    compr data     15 KiB (1 : 274.67)
    mem used       16 KiB, of at most 1 MiB
    same pages     1,024 (4 MiB) that need no memory
    compr pages    3 (12 KiB)
    huge pages     3 (12 KiB) stored as they are
    bd count       2 (5 KiB) in the tier, 5 read, 4 written; 1 of 7 slots

    ZONE  WRITES  WRITTEN  RESETS    ORIG   COMPR     MEM   TIER
       2   1,234  4.8 MiB       3  32 KiB  15 KiB  16 KiB  5 KiB
    "
  `)
})

it('stats of a device that has run out of memory', () => {
  const stats = statsOf(1)
  Object.assign(stats.counters, { failed: 5, noSpace: 3 })
  const text = formatStats({ stats, atMs: 0 }, null)
  expect(text).toContain('failed         5 (3 for want of memory)')
})

it('start', () => {
  expect(formatWelcome(device, 'zslab')).toMatchInlineSnapshot(`
    "path           /dev/ublkb0
    state          live
    daemon         pid 4242
    size           32 MiB
    zones          8 of 4 MiB, 1 conventional
    zone capacity  3 MiB
    max open       3
    max active     no limit
    max append     1 MiB
    block          4 KiB
    queues         1 of depth 128
    recovery       yes
    same-fill      yes
    compression    lz4
    memory limit   1 MiB
    image          none: it lives in memory
    tier           /var/tmp/tier, 64 MiB/s, zones are cold after 30 s
    latency        none
    profile        default

    Three things to try:
      zslab zone report 0
      fio --filename=/dev/ublkb0 fio-jobs/seq-write-verify.fio
      zslab stats 0 --watch
    "
  `)
})
