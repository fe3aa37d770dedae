/**
 * What an image is an image of: everything that must be known to lay its files out and to make the device again.
 */
import type { Compression } from '../ublk-native/index.js'
import type { GeometryOptions } from '../zone-model/index.js'

export interface ImageDescription {
  /** The zones. */
  readonly geometry: GeometryOptions
  /** Of the zone table's in-flight log. A device of this image is served with the same. */
  readonly queueCount: number
  readonly depth: number
  /** Size of the `table` file; the zone table is at its beginning, what follows is kept as it is. */
  readonly tableBytes: number
  /** What the pages in `data` are compressed with. */
  readonly compression: Compression
  /** The caller's own (the options of `zslab device create`): JSON, kept as it is. */
  readonly device: unknown
}
