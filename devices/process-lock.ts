/**
 * One process at a time uses a directory: a lock file in it says which.
 *
 * A process is known by its pid, its start time and the boot that it is of, so a lock that a dead process or a power cut left
 * is recognised, and taken over. Where there is no /proc, the pid must do.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'

interface Holder {
  readonly pid: number
  readonly startTicks: number | null
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

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}

function isAlive({ pid, startTicks }: Holder): boolean {
  if (startTicks !== null) return startTicksOf(pid) === startTicks
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Who holds it, if that process lives. */
function livingHolder(path: string): Holder | null {
  try {
    const holder = JSON.parse(readFileSync(path, 'utf8')) as Holder
    return holder.bootId === bootId() && isAlive(holder) ? holder : null
  } catch {
    return null
  }
}

/**
 * Takes the lock file `path`.
 *
 * @returns null, or whoever has it: `this process`, `process 123`
 * @throws what Node's fs throws
 */
export function takeProcessLock(path: string): string | null {
  const own = `${path}.${process.pid}`
  const self: Holder = {
    pid: process.pid,
    startTicks: startTicksOf(process.pid),
    bootId: bootId(),
  }
  try {
    // Made whole before it has its name: nobody reads half a lock.
    writeFileSync(own, JSON.stringify(self), { mode: 0o600 })
    for (;;) {
      try {
        linkSync(own, path)
        return null
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
      const holder = livingHolder(path)
      if (holder !== null) {
        return holder.pid === process.pid ? 'this process' : `process ${holder.pid}`
      }
      // Away from its name first: if somebody else has taken it over meanwhile, what is moved is theirs, and goes back.
      const stale = `${own}.stale`
      renameSync(path, stale)
      if (livingHolder(stale) !== null) renameSync(stale, path)
      else rmSync(stale)
    }
  } finally {
    rmSync(own, { force: true })
  }
}

export function dropProcessLock(path: string): void {
  rmSync(path, { force: true })
}
