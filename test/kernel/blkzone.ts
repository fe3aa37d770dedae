/** What `blkzone report` of util-linux prints, read back. All numbers in 512-byte sectors. */
import { must } from './harness.js'

export interface BlkzoneZone {
  start: number
  length: number
  capacity: number
  wp: number
  condition: string
  type: string
}

const LINE =
  /start: (0x[0-9a-f]+), len (0x[0-9a-f]+), cap (0x[0-9a-f]+), wptr (0x[0-9a-f]+|N\/A) reset:\d non-seq:\d, zcond:\s*\d+\((..)\) \[type: (\d+)/

export async function blkzoneReport(path: string): Promise<BlkzoneZone[]> {
  const text = await must('blkzone', ['report', path])
  const zones: BlkzoneZone[] = []
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue
    const match = LINE.exec(line)
    if (match === null) throw new Error(`blkzone printed a line that is not understood: ${line}`)
    zones.push({
      start: Number(match[1]),
      length: Number(match[2]),
      capacity: Number(match[3]),
      wp: match[4] === 'N/A' ? Number.NaN : Number(match[4]),
      condition: match[5]!,
      type: match[6]!,
    })
  }
  return zones
}

/** blkzone's two letters → our words. */
export const CONDITION: Readonly<Record<string, string>> = {
  nw: 'conventional',
  em: 'empty',
  oi: 'implicit-open',
  oe: 'explicit-open',
  cl: 'closed',
  fu: 'full',
  ro: 'read-only',
  of: 'offline',
}
