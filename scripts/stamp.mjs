/**
 * Stamps: what was there when a step was last done, so that a second run costs a look at the files and nothing else.
 *
 * A stamp is a hash of paths, sizes and modification times (not contents: reading every source costs more than it saves).
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Every file under `paths` (files or folders) whose name `matches`, in a stable order. */
export function filesUnder(paths, matches) {
  const files = []
  const visit = path => {
    const found = statSync(path, { throwIfNoEntry: false })
    if (found === undefined) return
    if (!found.isDirectory()) {
      if (matches(path)) files.push({ path, bytes: found.size, mtimeMs: found.mtimeMs })
      return
    }
    for (const name of readdirSync(path).sort()) visit(join(path, name))
  }
  for (const path of paths) visit(path)
  return files
}

/** A hash that changes when a file of `files` is added, removed, or written to. `extra` is whatever else matters. */
export function fingerprint(files, extra = '') {
  const hash = createHash('sha256').update(extra)
  for (const { path, bytes, mtimeMs } of files) hash.update(`${path}\0${bytes}\0${mtimeMs}\n`)
  return hash.digest('hex')
}

export function readStamp(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

export function writeStamp(path, value) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, value)
}
