/**
 * Bytes that went to the drive, by cause: what write amplification is made of.
 *
 * Payload is keys and values of records as they were set. Everything else is the price: slab headers and free room in
 * slots and slabs (`padding`), zone headers, indexes of groups, marks, and records moved at eviction.
 */

export interface WriteAmplification {
  /** Bytes written to the device over bytes of payload; 0 when nothing was written. */
  readonly factor: number
  readonly deviceBytes: number
  readonly payloadBytes: number
  readonly paddingBytes: number
  readonly headerBytes: number
  readonly indexBytes: number
  readonly markBytes: number
  readonly reinsertedBytes: number
}

export class WriteLedger {
  payload = 0
  headers = 0
  index = 0
  marks = 0
  reinserted = 0

  /** `deviceBytes`: what was written. Records still in a stage are payload already, so ask after a flush. */
  report(deviceBytes: number): WriteAmplification {
    const { payload, headers, index, marks, reinserted } = this
    const known = payload + headers + index + marks + reinserted
    return {
      factor: payload === 0 ? 0 : deviceBytes / payload,
      deviceBytes,
      payloadBytes: payload,
      paddingBytes: Math.max(0, deviceBytes - known),
      headerBytes: headers,
      indexBytes: index,
      markBytes: marks,
      reinsertedBytes: reinserted,
    }
  }
}
