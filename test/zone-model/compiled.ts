/**
 * Compiles zone-model to JavaScript in a directory of its own: Node 20's workers and child processes cannot load
 * TypeScript, and the tests must not depend on a build that may be old.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export interface CompiledModel {
  readonly directory: string
  /** What to import. */
  readonly url: string
  remove(): void
}

/** Compiles; `transform` may change each file's JavaScript. */
export function compileModel(transform?: (file: string, source: string) => string): CompiledModel {
  const directory = mkdtempSync(join(tmpdir(), 'zone-model-'))
  const config = join(directory, 'tsconfig.json')
  writeFileSync(
    config,
    JSON.stringify({
      extends: join(ROOT, 'tsconfig.json'),
      compilerOptions: {
        outDir: directory,
        rootDir: join(ROOT, 'zone-model'),
        types: [],
        sourceMap: false,
        declaration: false,
      },
      include: [join(ROOT, 'zone-model')],
    }),
  )
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}')
  execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', config], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (transform !== undefined) {
    for (const file of readdirSync(directory).filter(name => name.endsWith('.js'))) {
      const path = join(directory, file)
      writeFileSync(path, transform(file, readFileSync(path, 'utf8')))
    }
  }
  return {
    directory,
    url: pathToFileURL(join(directory, 'index.js')).href,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}
