/**
 * Compiles folders of the project to JavaScript in a directory of its own: Node 20's workers and child processes cannot load
 * TypeScript, and the tests must not depend on a build that may be old.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export interface Compiled {
  readonly directory: string
  /** What to import, by its path in the project: 'zone-model/index.js'. The addon needs ZSLAB_ADDON: there is none near it. */
  url(path: string): string
  remove(): void
}

/** May change the JavaScript of each file; `path` is that in the project. */
export type Transform = (path: string, source: string) => string

/**
 * `include`: folders or files of the project; what they import comes with them. `types`: of which packages globals are known:
 * without Node's, a global of Node's does not compile.
 */
export function compile(
  include: readonly string[],
  { transform, types = ['node'] }: { transform?: Transform; types?: readonly string[] } = {},
): Compiled {
  const directory = mkdtempSync(join(tmpdir(), 'zslab-compiled-'))
  const config = join(directory, 'tsconfig.json')
  const compilerOptions = {
    outDir: directory,
    rootDir: ROOT,
    types,
    typeRoots: [join(ROOT, 'node_modules', '@types')],
    sourceMap: false,
    declaration: false,
  }
  const paths = include.map(path => join(ROOT, path))
  const text = { extends: join(ROOT, 'tsconfig.json'), compilerOptions, include: paths }
  writeFileSync(config, JSON.stringify(text))
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}')
  const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  // The sanitizer that may be preloaded into this process is not for the compiler.
  const { LD_PRELOAD: _, ...env } = process.env
  execFileSync(process.execPath, [compiler, '-p', config], { stdio: 'inherit', env })
  if (transform !== undefined) change(directory, transform)
  return compiledIn(directory)
}

/** The same, with other JavaScript: compiled once is enough. */
export function changed(compiled: Compiled, transform: Transform): Compiled {
  const directory = mkdtempSync(join(tmpdir(), 'zslab-compiled-'))
  cpSync(compiled.directory, directory, { recursive: true })
  change(directory, transform)
  return compiledIn(directory)
}

function compiledIn(directory: string): Compiled {
  return {
    directory,
    url: path => pathToFileURL(join(directory, path)).href,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}

function change(directory: string, transform: Transform): void {
  for (const path of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('.js')) continue
    const file = join(directory, path)
    writeFileSync(file, transform(path, readFileSync(file, 'utf8')))
  }
}
