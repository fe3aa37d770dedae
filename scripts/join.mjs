/**
 * Joins what a program imports from the package into few files, dist/package: to find, read and compile a hundred modules takes
 * Node 80 ms, as long as it takes to start. Run by build.mjs, behind the compiler. (The command line and the tests use dist/
 * as the compiler made it.)
 *
 * Comments go, lines and names stay, so that a stack trace can be read. What is loaded late (`import()`) stays a file of its own.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { rolldown } from 'rolldown'

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
    await joined.write({
      dir: join(dist, 'package'),
      format: 'esm',
      entryFileNames: '[name].js',
      chunkFileNames: 'part-[name].js',
      comments: false,
    })
  } finally {
    await joined.close()
  }
}
