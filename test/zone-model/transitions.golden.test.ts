/**
 * Every condition, every write-pointer class, every operation: what comes of it, as a text that people can read and
 * that changes only when someone means it to. UPDATE=1 records it again.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import * as model from '../../zone-model/index.js'
import { BLOCK, makeTable, zoneText } from './tables.js'

const GOLDEN = fileURLToPath(new URL('transitions.golden.txt', import.meta.url))
const CAPACITY = 48
const ZONE = 1
const CONVENTIONAL = 0
const OTHERS = [2, 3, 4, 5]
const WP = { empty: 0, middle: 24, 'cap-1': CAPACITY - BLOCK, cap: CAPACITY }
const { UBLK_IO_OP_WRITE: WRITE } = model

type Table = model.ZoneTable

/** Writes up to a write pointer in one go. */
function fillTo(table: Table, zone: number, wp: number): void {
  if (wp > 0) expect(model.admitWrite(table, 0, WRITE, zone, 0, wp)).toBe(0)
}

/** Brings the zone to a condition with a write pointer by operations only; false where no operations lead. */
function reach(table: Table, condition: string, wp: number): boolean {
  const isOpenable = wp < CAPACITY
  switch (condition) {
    case 'empty':
      return wp === 0
    case 'implicit-open':
      if (!isOpenable) return false
      fillTo(table, ZONE, wp)
      if (wp > 0) return true
      // Only a write that was taken back leaves an implicitly open zone with nothing in it.
      model.openZone(table, ZONE)
      model.closeZone(table, ZONE)
      model.admitWrite(table, 0, WRITE, ZONE, 0, BLOCK)
      return model.undoWrite(table, 0)
    case 'explicit-open':
      if (!isOpenable) return false
      fillTo(table, ZONE, wp)
      return model.openZone(table, ZONE) === 0
    case 'closed':
      if (!isOpenable) return false
      fillTo(table, ZONE, wp)
      return model.openZone(table, ZONE) === 0 && model.closeZone(table, ZONE) === 0
    case 'full':
      if (wp !== CAPACITY) return false
      fillTo(table, ZONE, wp)
      return true
    case 'read-only':
      fillTo(table, ZONE, wp)
      return model.readOnlyZone(table, ZONE) === 0
    case 'offline':
      fillTo(table, ZONE, wp)
      return model.readOnlyZone(table, ZONE) === 0 && model.offlineZone(table, ZONE) === 0
    default:
      return wp === 0 // not-wp: the conventional zone
  }
}

const CONDITIONS = [
  'empty',
  'implicit-open',
  'explicit-open',
  'closed',
  'full',
  'read-only',
  'offline',
  'not-wp',
]

const OPERATIONS: Record<string, (table: Table, zone: number, wp: number) => number> = {
  'write one block at wp': (t, z, wp) => model.admitWrite(t, 1, WRITE, z, wp, BLOCK),
  'write up to capacity': (t, z, wp) =>
    wp < CAPACITY ? model.admitWrite(t, 1, WRITE, z, wp, CAPACITY - wp) : Number.NaN,
  'write past capacity': (t, z, wp) => model.admitWrite(t, 1, WRITE, z, wp, CAPACITY - wp + BLOCK),
  'write behind wp': (t, z, wp) =>
    wp > 0 ? model.admitWrite(t, 1, WRITE, z, wp - BLOCK, BLOCK) : Number.NaN,
  'write ahead of wp': (t, z, wp) => model.admitWrite(t, 1, WRITE, z, wp + BLOCK, BLOCK),
  'write half a block': (t, z, wp) => model.admitWrite(t, 1, WRITE, z, wp, BLOCK / 2),
  'append one block': (t, z) => model.admitAppend(t, 1, z, BLOCK),
  'append the capacity': (t, z) => model.admitAppend(t, 1, z, CAPACITY),
  'append more than the limit': (t, z) => model.admitAppend(t, 1, z, CAPACITY + BLOCK),
  'read one block at wp': (t, z, wp) => model.admitRead(t, z, wp, BLOCK),
  'read out of the zone': (t, z) => model.admitRead(t, z, 64 - BLOCK, 2 * BLOCK),
  'discard one block': (t, z) => model.admitDiscard(t, z, 0, BLOCK),
  open: (t, z) => model.openZone(t, z),
  close: (t, z) => model.closeZone(t, z),
  finish: (t, z) => model.finishZone(t, z),
  reset: (t, z) => model.resetZone(t, z, () => 0),
  'reset, media fails': (t, z) => model.resetZone(t, z, () => -model.EIO),
  offline: (t, z) => model.offlineZone(t, z),
  'read-only fault': (t, z) => model.readOnlyZone(t, z),
  'open all': t => model.openAll(t),
  'close all': t => model.closeAll(t),
  'finish all': t => model.finishAll(t),
  'reset all': t => model.resetAll(t, () => 0),
  'write one block, undo': (t, z, wp) => {
    const result = model.admitWrite(t, 1, WRITE, z, wp, BLOCK)
    return result === 0 && z !== CONVENTIONAL ? Number(model.undoWrite(t, 1)) : result
  },
}

function resultText(result: number): string {
  if (Number.isNaN(result)) return '-'
  if (result >= 0) return `${result}`
  const status = -result
  return `${status.toString(16)}h ${model.errnoName(model.errnoOfStatus(status))}`
}

function counters(table: Table): string {
  return `${table.implicitOpen}+${table.explicitOpen}+${table.closed}`
}

function line(table: Table, zone: number, name: string, result: number): string {
  const after = `${zoneText(table, zone).padEnd(18)} ${counters(table)}`
  return `  ${name.padEnd(28)} ${resultText(result).padEnd(18)} ${after}`
}

/** One zone alone, no limits. */
function transitionsText(): string {
  const lines: string[] = []
  for (const condition of CONDITIONS) {
    const zone = condition === 'not-wp' ? CONVENTIONAL : ZONE
    for (const [wpClass, wp] of Object.entries(WP)) {
      if (!reach(makeTable(), condition, wp)) {
        lines.push(`${condition}, wp ${wpClass}: cannot be`)
        continue
      }
      lines.push(`${condition}, wp ${wpClass} (${wp})`)
      for (const [name, operation] of Object.entries(OPERATIONS)) {
        const table = makeTable()
        reach(table, condition, wp)
        lines.push(line(table, zone, name, operation(table, zone, wp)))
      }
    }
  }
  return lines.join('\n')
}

const CROWDS: Record<string, { limits: object; fill: (table: Table) => void }> = {
  'max-active reached by closed zones (max 2, open room)': {
    limits: { maxActive: 2 },
    fill: table => {
      for (const zone of OTHERS.slice(0, 2)) {
        model.openZone(table, zone)
        model.closeZone(table, zone)
      }
    },
  },
  'max-open reached by explicitly open zones (max 2)': {
    limits: { maxOpen: 2 },
    fill: table => {
      for (const zone of OTHERS.slice(0, 2)) model.openZone(table, zone)
    },
  },
  'max-open reached by one explicitly and one implicitly open zone (max 2)': {
    limits: { maxOpen: 2 },
    fill: table => {
      model.openZone(table, 2)
      model.admitWrite(table, 2, WRITE, 3, 0, BLOCK)
    },
  },
  'max-open and max-active 2, others written as far as they may be': {
    limits: { maxOpen: 2, maxActive: 2 },
    fill: table => {
      model.admitWrite(table, 2, WRITE, 2, 0, BLOCK)
      model.admitWrite(table, 3, WRITE, 3, 0, BLOCK)
    },
  },
}

/** An empty zone, or one that was closed before, against others that have taken the resources. */
function limitsText(): string {
  const lines: string[] = []
  const wanted = [
    'write one block at wp',
    'append one block',
    'write up to capacity',
    'open',
    'finish',
    'reset',
  ]
  for (const [crowd, { limits, fill }] of Object.entries(CROWDS)) {
    for (const start of ['empty', 'closed'] as const) {
      lines.push(`${start} zone, ${crowd}`)
      for (const name of wanted) {
        const table = makeTable(limits)
        if (start === 'closed') {
          model.openZone(table, ZONE)
          model.closeZone(table, ZONE)
        }
        fill(table)
        const result = OPERATIONS[name]!(table, ZONE, 0)
        const others = OTHERS.map(zone => zoneText(table, zone)).join(', ')
        lines.push(`${line(table, ZONE, name, result)}   others: ${others}`)
      }
    }
  }
  return lines.join('\n')
}

const HEADER = `Condition x write pointer x operation, as zone-model decides. Recorded by transitions.golden.test.ts (UPDATE=1).
Zones of 64 sectors, capacity 48, blocks of 8. Columns: operation, result (an offset, or NVMe status and errno; for an undo,
1 when the write pointer was taken back), the zone afterwards (condition, write pointer in sectors from its start), and how
many zones are implicitly open + explicitly open + closed.
`

test('every transition is the recorded one', () => {
  const text = `${HEADER}\n# One zone alone\n\n${transitionsText()}\n\n# At the limits\n\n${limitsText()}\n`
  if (process.env['UPDATE'] === '1') writeFileSync(GOLDEN, text)
  expect(text).toBe(readFileSync(GOLDEN, 'utf8').replaceAll('\r\n', '\n'))
})
