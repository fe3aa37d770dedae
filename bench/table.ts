/** What benches print with: medians, and tables of aligned columns. */

/** The middle value; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** To stdout, columns aligned right, two spaces between. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((name, i) => Math.max(name.length, ...rows.map(row => row[i]!.length)))
  for (const row of [head, ...rows])
    console.log(row.map((cell, i) => cell.padStart(widths[i]!)).join('  '))
}
