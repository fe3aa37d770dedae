/**
 * Text that people read: aligned tables, sizes, the fill bar of a zone and the map of a device.
 *
 *   zone map, one character a zone:  0  --##ooO..c....   (- conventional, # full, o implicitly open, …)
 *
 * Guarantees: plain ASCII, no colour, no trailing blanks: fit for a serial console, a log and a diff.
 */

/** A column: its title, and on which side its cells are aligned. */
export interface Column {
  readonly title: string
  readonly align: 'left' | 'right'
}

export function left(title: string): Column {
  return { title, align: 'left' }
}

export function right(title: string): Column {
  return { title, align: 'right' }
}

/** Rows under titles, two blanks between columns. Ends with a newline. */
export function formatTable(columns: readonly Column[], rows: readonly string[][]): string {
  const widths = columns.map((column, index) =>
    rows.reduce((width, row) => Math.max(width, row[index]!.length), column.title.length),
  )
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) =>
        columns[index]!.align === 'left'
          ? cell.padEnd(widths[index]!)
          : cell.padStart(widths[index]!),
      )
      .join('  ')
      .trimEnd()
  const titles = columns.map(column => column.title)
  return `${[titles, ...rows].map(line).join('\n')}\n`
}

/** Names and values, the values in one column. Ends with a newline. */
export function formatFields(fields: readonly (readonly [string, string])[]): string {
  const width = fields.reduce((most, [name]) => Math.max(most, name.length), 0)
  return fields
    .map(([name, value]) => `${name.padEnd(width)}  ${value}`.trimEnd())
    .join('\n')
    .concat('\n')
}

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** 1536 → "1.5 KiB". For reading, not for parsing. */
export function formatSize(bytes: number): string {
  let unit = 0
  let value = bytes
  while (value >= 1024 && unit < BYTE_UNITS.length - 1) {
    value /= 1024
    unit++
  }
  const digits = Number.isInteger(value) || value >= 100 ? 0 : 1
  return `${value.toFixed(digits)} ${BYTE_UNITS[unit]}`
}

/** 1234567 → "1,234,567", the same in every locale. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** "1 zone", "2 zones". */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`
}

const BAR_WIDTH = 10

/** A share from 0 to 1 → "[###.......]  30%". A zone that is neither empty nor full never looks so. */
export function fillBar(fill: number): string {
  const share = Math.min(1, Math.max(0, fill))
  let marks = Math.round(share * BAR_WIDTH)
  let percent = Math.round(share * 100)
  if (share > 0) {
    marks = Math.max(1, marks)
    percent = Math.max(1, percent)
  }
  if (share < 1) {
    marks = Math.min(BAR_WIDTH - 1, marks)
    percent = Math.min(99, percent)
  }
  return `[${'#'.repeat(marks)}${'.'.repeat(BAR_WIDTH - marks)}] ${String(percent).padStart(3)}%`
}

/** The character of each condition in a zone map. */
export const CONDITION_MARKS = {
  conventional: '-',
  empty: '.',
  'implicit-open': 'o',
  'explicit-open': 'O',
  closed: 'c',
  full: '#',
  'read-only': 'r',
  offline: 'x',
} as const

const MAP_WIDTH = 64

/** One character a zone, 64 a line with the number of the first, then the key to those that occur. */
export function zoneMap(
  zones: readonly { zone: number; condition: keyof typeof CONDITION_MARKS }[],
): string {
  const lines: string[] = []
  const last = zones.at(-1)?.zone ?? 0
  for (let at = 0; at < zones.length; at += MAP_WIDTH) {
    const part = zones.slice(at, at + MAP_WIDTH)
    const marks = part.map(({ condition }) => CONDITION_MARKS[condition]).join('')
    lines.push(`${String(part[0]!.zone).padStart(String(last).length)}  ${marks}`)
  }
  const present = new Set(zones.map(({ condition }) => condition))
  const key = Object.entries(CONDITION_MARKS)
    .filter(([condition]) => present.has(condition as keyof typeof CONDITION_MARKS))
    .map(([condition, mark]) => `${mark} ${condition}`)
  return `${lines.join('\n')}\nkey: ${key.join('  ')}\n`
}
