/**
 * One process at a time uses an image: the file `lock` in it says which.
 *
 * A process is known by its pid, its start time and the boot that it is of, so a lock that a dead process or a power cut left is
 * recognised, and taken over.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { ImageError } from './errors.js'
import { ioError } from './store.js'

interface Holder {
  readonly pid: number
  readonly startTicks: number
  readonly bootId: string
}

/** Start time of a process in clock ticks since boot (proc(5), field 22), or null when there is no such process. */
export function startTicksOf(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field, the name, may hold spaces and parentheses: fields are counted from the last parenthesis.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? null : Number(fields[19])
  } catch {
    return null
  }
}

function thisProcess(): Holder {
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return { pid: process.pid, startTicks: startTicksOf(process.pid)!, bootId }
}

/** Who holds it, if that process lives. */
function livingHolder(path: string): Holder | null {
  try {
    const holder = JSON.parse(readFileSync(path, 'utf8')) as Holder
    const isOfThisBoot = holder.bootId === thisProcess().bootId
    return isOfThisBoot && startTicksOf(holder.pid) === holder.startTicks ? holder : null
  } catch {
    return null
  }
}

/** @throws ImageError `IMAGE_ERR_IN_USE`, `IMAGE_ERR_IO` */
export function takeLock(directory: string): void {
  const path = `${directory}/lock`
  const own = `${path}.${process.pid}`
  try {
    // Made whole before it has its name: nobody reads half a lock.
    writeFileSync(own, JSON.stringify(thisProcess()), { mode: 0o600 })
    for (;;) {
      try {
        linkSync(own, path)
        return
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
      refuseIfHeld(directory, path)
      // Away from its name first: if somebody else has taken it over meanwhile, what is moved is theirs, and goes back.
      const stale = `${own}.stale`
      renameSync(path, stale)
      if (livingHolder(stale) !== null) renameSync(stale, path)
      else rmSync(stale)
    }
  } catch (error) {
    throw error instanceof ImageError ? error : ioError(path, error)
  } finally {
    rmSync(own, { force: true })
  }
}

function refuseIfHeld(directory: string, path: string): void {
  const holder = livingHolder(path)
  if (holder === null) return
  const who = holder.pid === process.pid ? 'this process' : `process ${holder.pid}`
  const message = `${directory} is in use by ${who}: zslab device list shows the device that it belongs to`
  throw new ImageError('IMAGE_ERR_IN_USE', message)
}

export function dropLock(directory: string): void {
  rmSync(`${directory}/lock`, { force: true })
}
