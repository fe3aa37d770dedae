/**
 * One process at a time uses an image: the file `lock` in it says which.
 */
import { dropProcessLock, takeProcessLock } from '../devices/index.js'
import { ImageError } from './errors.js'
import { ioError } from './store.js'

/** @throws ImageError `IMAGE_ERR_IN_USE`, `IMAGE_ERR_IO` */
export function takeLock(directory: string): void {
  const path = `${directory}/lock`
  let holder: string | null
  try {
    holder = takeProcessLock(path)
  } catch (error) {
    throw ioError(path, error)
  }
  if (holder === null) return
  const message = `${directory} is in use by ${holder}: zslab device list shows the device that it belongs to`
  throw new ImageError('IMAGE_ERR_IN_USE', message)
}

export function dropLock(directory: string): void {
  dropProcessLock(`${directory}/lock`)
}
