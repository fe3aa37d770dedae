/**
 * Compiles ublk-native to JavaScript in a directory of its own: Node 20's workers and child processes cannot load TypeScript,
 * and the tests must not depend on a build that may be old.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export interface CompiledNative {
  /** What to import. Needs ZSLAB_ADDON: there is no addon near it. */
  readonly url: string
  remove(): void
}

export function compileNative(): CompiledNative {
  const directory = mkdtempSync(join(tmpdir(), 'zslab-native-'))
  const config = join(directory, 'tsconfig.json')
  const compilerOptions = {
    outDir: directory,
    rootDir: join(ROOT, 'ublk-native'),
    typeRoots: [join(ROOT, 'node_modules', '@types')],
    sourceMap: false,
    declaration: false,
  }
  const include = [join(ROOT, 'ublk-native')]
  const text = { extends: join(ROOT, 'tsconfig.json'), compilerOptions, include }
  writeFileSync(config, JSON.stringify(text))
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}')
  const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  // The sanitizer that may be preloaded into this process is not for the compiler.
  const { LD_PRELOAD: _, ...env } = process.env
  execFileSync(process.execPath, [compiler, '-p', config], { stdio: 'inherit', env })
  return {
    url: pathToFileURL(join(directory, 'index.js')).href,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}
