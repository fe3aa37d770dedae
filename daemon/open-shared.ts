/**
 * What each thread of a device maps when it starts: the state and the media, in files under `directory`. Main makes them.
 */
import { join } from 'node:path'
import { type MediaOptions, mapShared, openMedia, unmapShared } from '../ublk-native/index.js'
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

/** `buffer` is the `table` file, which `state` is laid out in. `create`: both begin empty. Throws as mapShared and openMedia do. */
export function openShared(task: SharedTask, create = false) {
  const { directory, tableQueueCount, tableDepth } = task
  const geometry = Geometry.create(task.geometry)
  const bytes = SharedState.bytesNeeded(geometry, tableQueueCount, tableDepth)
  const buffer = mapShared(join(directory, 'table'), bytes, create)
  if (create) SharedState.format(buffer, geometry, tableQueueCount, tableDepth)
  const state = new SharedState(buffer, geometry, tableQueueCount, tableDepth)
  try {
    return { geometry, buffer, state, media: openMedia({ ...task.media, create }) }
  } catch (error) {
    unmapShared(buffer)
    throw error
  }
}
