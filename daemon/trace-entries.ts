/**
 * Entries of a trace ring, as they come over the control socket, made readable.
 */
import {
  UBLK_IO_OP_DISCARD,
  UBLK_IO_OP_FLUSH,
  UBLK_IO_OP_READ,
  UBLK_IO_OP_REPORT_ZONES,
  UBLK_IO_OP_WRITE,
  UBLK_IO_OP_WRITE_ZEROES,
  UBLK_IO_OP_ZONE_APPEND,
  UBLK_IO_OP_ZONE_CLOSE,
  UBLK_IO_OP_ZONE_FINISH,
  UBLK_IO_OP_ZONE_OPEN,
  UBLK_IO_OP_ZONE_RESET,
  UBLK_IO_OP_ZONE_RESET_ALL,
} from '../zone-model/index.js'
import { TRACE_ENTRY_BYTES } from './trace-ring.js'

export { errnoName } from '../zone-model/index.js'

/** One request. Sectors are of 512 bytes and absolute, times are microseconds. */
export interface TraceEntry {
  /** When it was delivered, since the recording began; not yet rounded. */
  t: number
  op: string
  startSector: number
  /** As the kernel gave it: zones, for a report. */
  sectors: number
  isFua: boolean
  /** What the kernel was told: bytes, 0, or -errno. */
  result: number
  /** Where an append went. */
  lba: number
  /** From its delivery until its command was executed. */
  latencyUs: number
}

const NAMES: Readonly<Record<number, string>> = {
  [UBLK_IO_OP_READ]: 'read',
  [UBLK_IO_OP_WRITE]: 'write',
  [UBLK_IO_OP_FLUSH]: 'flush',
  [UBLK_IO_OP_DISCARD]: 'discard',
  [UBLK_IO_OP_WRITE_ZEROES]: 'write-zeroes',
  [UBLK_IO_OP_ZONE_OPEN]: 'open',
  [UBLK_IO_OP_ZONE_CLOSE]: 'close',
  [UBLK_IO_OP_ZONE_FINISH]: 'finish',
  [UBLK_IO_OP_ZONE_APPEND]: 'append',
  [UBLK_IO_OP_ZONE_RESET_ALL]: 'reset-all',
  [UBLK_IO_OP_ZONE_RESET]: 'reset',
  [UBLK_IO_OP_REPORT_ZONES]: 'report',
}

/** include/uapi/linux/ublk_cmd.h. */
const UBLK_IO_F_FUA = 1 << 13

/** Entries of one queue, in the order in which it decided them. An operation without a name is `op-N`. */
export function decodeEntries(base64: string): TraceEntry[] {
  const bytes = Buffer.from(base64, 'base64')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const entries: TraceEntry[] = []
  for (let at = 0; at + TRACE_ENTRY_BYTES <= view.byteLength; at += TRACE_ENTRY_BYTES) {
    const word = (index: number): number => view.getUint32(at + index * 4, true)
    const op = word(0) & 0xff
    const startSector = word(3) * 2 ** 32 + word(2)
    entries.push({
      t: view.getFloat64(at + 32, true),
      op: NAMES[op] ?? `op-${op}`,
      startSector,
      sectors: word(1),
      isFua: (word(0) & UBLK_IO_F_FUA) !== 0,
      result: view.getInt32(at + 16, true),
      // Only the low word is kept: a zone never lies across 2^32 sectors.
      lba: word(3) * 2 ** 32 + word(5),
      latencyUs: word(6),
    })
  }
  return entries
}
