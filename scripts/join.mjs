/**
 * Joins what a program imports from the package into few files, dist/package: to find, read and compile a hundred modules takes
 * Node 80 ms, as long as it takes to start. Run by build.mjs, behind the compiler. (The command line and the tests use dist/
 * as the compiler made it.)
 *
 * Comments go, lines and names stay, so that a stack trace can be read. Files are ASCII, which V8 keeps in a byte a character.
 * What is loaded late (`import()`) stays a file of its own.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rolldown } from 'rolldown'

/** Everything else than ASCII is in strings, where an escape means the same. */
const escaped = code =>
  code.replace(/[^\n\t -~]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** `dist`: where the compiler's files are. */
export async function joinPackage(dist) {
  const joined = await rolldown({
    input: {
      store: join(dist, 'store', 'index.js'),
      'zone-model': join(dist, 'zone-model', 'index.js'),
    },
    external: /^node:/,
    platform: 'node',
    // No module of ours does anything when it is loaded.
    treeshake: { moduleSideEffects: false },
  })
  try {
    rmSync(join(dist, 'package'), { recursive: true, force: true })
    const { output } = await joined.generate({
      format: 'esm',
      entryFileNames: '[name].js',
      chunkFileNames: 'part-[name].js',
      comments: false,
    })
    mkdirSync(join(dist, 'package'))
    for (const { fileName, code } of output)
      writeFileSync(join(dist, 'package', fileName), escaped(code))
  } finally {
    await joined.close()
  }
}
