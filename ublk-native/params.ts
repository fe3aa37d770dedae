/**
 * struct ublk_params for SET_PARAMS: a fixed layout in which what is absent is zero (never packed). Sectors are of 512 bytes.
 */
import {
  PARAMS_ATTRS,
  PARAMS_BYTES,
  PARAMS_CHUNK_SECTORS,
  PARAMS_DEV_SECTORS,
  PARAMS_DISCARD_GRANULARITY,
  PARAMS_IO_MIN_SHIFT,
  PARAMS_IO_OPT_SHIFT,
  PARAMS_LEN,
  PARAMS_LOGICAL_BS_SHIFT,
  PARAMS_MAX_ACTIVE_ZONES,
  PARAMS_MAX_DISCARD_SECTORS,
  PARAMS_MAX_DISCARD_SEGMENTS,
  PARAMS_MAX_OPEN_ZONES,
  PARAMS_MAX_SECTORS,
  PARAMS_MAX_WRITE_ZEROES_SECTORS,
  PARAMS_MAX_ZONE_APPEND_SECTORS,
  PARAMS_PHYSICAL_BS_SHIFT,
  PARAMS_TYPES,
  UBLK_ATTR_FUA,
  UBLK_ATTR_VOLATILE_CACHE,
  UBLK_PARAM_TYPE_BASIC,
  UBLK_PARAM_TYPE_DISCARD,
  UBLK_PARAM_TYPE_ZONED,
} from './layout.js'

export interface DeviceParams {
  /** log2 of the logical block in bytes, 9 to 12. */
  blockShift: number
  physicalBlockShift: number
  /** Largest request; at most maxIoBytes / 512, at least 8. */
  maxSectors: number
  /** Zone size: a power of two. */
  chunkSectors: number
  /** A multiple of chunkSectors. */
  totalSectors: number
  /** 0: no limit. */
  maxOpen: number
  maxActive: number
  /** Not 0. */
  maxAppendSectors: number
  discard?: {
    granularityBytes: number
    maxDiscardSectors: number
    maxWriteZeroesSectors: number
  }
  volatileCache: boolean
  fua: boolean
}

/** The bytes that SET_PARAMS takes. */
export function encodeParams(params: DeviceParams): Uint8Array {
  const bytes = new Uint8Array(PARAMS_BYTES)
  const view = new DataView(bytes.buffer)
  const u32 = (at: number, value: number) => view.setUint32(at, value, true)
  const { discard } = params
  let attrs = params.volatileCache ? UBLK_ATTR_VOLATILE_CACHE : 0
  if (params.fua) attrs |= UBLK_ATTR_FUA
  let types = UBLK_PARAM_TYPE_BASIC | UBLK_PARAM_TYPE_ZONED
  if (discard !== undefined) types |= UBLK_PARAM_TYPE_DISCARD
  u32(PARAMS_LEN, PARAMS_BYTES)
  u32(PARAMS_TYPES, types)
  u32(PARAMS_ATTRS, attrs)
  view.setUint8(PARAMS_LOGICAL_BS_SHIFT, params.blockShift)
  view.setUint8(PARAMS_PHYSICAL_BS_SHIFT, params.physicalBlockShift)
  view.setUint8(PARAMS_IO_OPT_SHIFT, params.physicalBlockShift)
  view.setUint8(PARAMS_IO_MIN_SHIFT, params.physicalBlockShift)
  u32(PARAMS_MAX_SECTORS, params.maxSectors)
  u32(PARAMS_CHUNK_SECTORS, params.chunkSectors)
  u32(PARAMS_DEV_SECTORS, params.totalSectors % 0x100000000)
  u32(PARAMS_DEV_SECTORS + 4, Math.floor(params.totalSectors / 0x100000000))
  if (discard !== undefined) {
    u32(PARAMS_DISCARD_GRANULARITY, discard.granularityBytes)
    u32(PARAMS_MAX_DISCARD_SECTORS, discard.maxDiscardSectors)
    u32(PARAMS_MAX_WRITE_ZEROES_SECTORS, discard.maxWriteZeroesSectors)
    view.setUint16(PARAMS_MAX_DISCARD_SEGMENTS, 1, true)
  }
  u32(PARAMS_MAX_OPEN_ZONES, params.maxOpen)
  u32(PARAMS_MAX_ACTIVE_ZONES, params.maxActive)
  u32(PARAMS_MAX_ZONE_APPEND_SECTORS, params.maxAppendSectors)
  return bytes
}
