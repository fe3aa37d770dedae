/**
 * From a device's options to its media: the one place that says how the two fit together.
 */
import { TIER_HEAD_BYTES } from '../image/index.js'
import type { Compression, MediaOptions } from '../ublk-native/index.js'
import type { Geometry } from '../zone-model/index.js'
import type { DeviceOptions } from './options.js'

/**
 * Memory of reset zones that a device keeps for its next writes. A page that has memory is written by the kernel at once; else
 * its memory is reserved and cleared first. Given back when memory runs out.
 */
const SPARE_BYTES = 64 * 1024 * 1024

/** "zstd:3" → what the media takes. */
export function compressionOf(
  options: DeviceOptions,
): Required<Pick<MediaOptions, 'compression' | 'compressionLevel'>> {
  const [compression, level] = (options.compression ?? 'none').split(':')
  return { compression: compression as Compression, compressionLevel: Number(level ?? 1) }
}

/**
 * Zones are regions, conventional ones are in place. A device made before an option existed has none of it in its record:
 * then the option's default holds.
 */
export function mediaOptions(
  directory: string,
  options: DeviceOptions,
  geometry: Geometry,
): Omit<MediaOptions, 'create'> {
  const zoneBytes = geometry.zoneSizeSectors * 512
  return {
    directory,
    ...(options.image == null ? {} : { dataDirectory: options.image }),
    bytes: geometry.totalBytes,
    regionBytes: zoneBytes,
    inPlaceBytes: geometry.conventionalCount * zoneBytes,
    sameFill: options.sameFill,
    ...compressionOf(options),
    spareBytes: SPARE_BYTES,
    limitBytes: options.memoryLimit ?? 0,
    tier: options.tier ?? null,
    // That of an image has a head.
    tierOffsetBytes: options.image == null ? 0 : TIER_HEAD_BYTES,
  }
}
