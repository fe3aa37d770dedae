/**
 * What each thread of a device maps when it starts: the state and the media that main has made, in files under `directory`.
 */
import { join } from 'node:path'
import { hardenThread, type MediaOptions, mapShared, openMedia } from '../ublk-native/index.js'
import { Geometry, type GeometryOptions } from '../zone-model/index.js'
import { SharedState } from './shared-state.js'

/** The part that is the same in what main gives to any of them. */
export interface SharedTask {
  /** The device's working state. */
  directory: string
  geometry: GeometryOptions
  /** Of the zone table, which may have room for more than the device has. */
  tableQueueCount: number
  tableDepth: number
  media: Omit<MediaOptions, 'create'>
}

/** `buffer` is the `table` file, which `state` is laid out in. The thread is hardened. Throws as mapShared and openMedia do. */
export function openShared(task: SharedTask) {
  const { directory, tableQueueCount, tableDepth } = task
  const geometry = Geometry.create(task.geometry)
  const bytes = SharedState.bytesNeeded(geometry, tableQueueCount, tableDepth)
  const buffer = mapShared(join(directory, 'table'), bytes, false)
  const state = new SharedState(buffer, geometry, tableQueueCount, tableDepth)
  const media = openMedia({ ...task.media, create: false })
  hardenThread()
  return { geometry, buffer, state, media }
}
