/**
 * What the main thread of a device has mapped: the state and the media that its workers share, faults, flush marks.
 */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { mapShared, type NativeMedia, unmapShared } from '../ublk-native/index.js'
import type { Geometry } from '../zone-model/index.js'
import { FAULT_FILE_BYTES, faultWords } from './fault-rules.js'
import { flushMarkBytes } from './flush-marks.js'
import { openShared, type SharedTask } from './open-shared.js'
import type { SharedState } from './shared-state.js'

export class DeviceMemory {
  readonly state: SharedState
  readonly media: NativeMedia
  /** Of a drive in memory: how far each zone was written at the last flush. */
  readonly flushMarks: Int32Array
  /** The rules of injected faults. */
  readonly faultWords: ReturnType<typeof faultWords>
  readonly #directory: string
  readonly #buffers: ArrayBuffer[] = []

  /** `create`: with an empty table and media, else as they are there. Throws as openShared does, with nothing left mapped. */
  constructor(task: SharedTask, geometry: Geometry, create: boolean) {
    this.#directory = task.directory
    try {
      this.faultWords = faultWords(this.#map('faults', FAULT_FILE_BYTES))
      this.flushMarks = new Int32Array(this.#map('flushed', flushMarkBytes(geometry)))
      const { buffer, state, media } = openShared(task, create)
      this.#buffers.push(buffer)
      this.state = state
      this.media = media
    } catch (error) {
      this.#unmap()
      throw error
    }
    this.state.stopRequested = false
    // A recording ends with its daemon.
    this.state.recording = 0
    rmSync(join(task.directory, 'trace'), { force: true })
  }

  close(): void {
    this.media.close()
    this.#unmap()
  }

  /** A file that main alone makes, when it is not there yet. */
  #map(name: string, bytes: number): ArrayBuffer {
    const path = join(this.#directory, name)
    const buffer = mapShared(path, bytes, !existsSync(path))
    this.#buffers.push(buffer)
    return buffer
  }

  #unmap(): void {
    for (const buffer of this.#buffers) unmapShared(buffer)
  }
}
