/**
 * A bench's guest half: runs one of our programs in the VM and gives back the JSON that it prints.
 */
import { Writable } from 'node:stream'
import { runInVm } from '../vm/index.js'

/** Throws Error when the program fails; its messages went to our stderr. */
export async function runGuest<Result>(
  program: string,
  task: unknown,
  vm: { kernel: string; isCounted: boolean },
): Promise<Result> {
  const chunks: Buffer[] = []
  const stdout = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk)
      done()
    },
  })
  const path = new URL(program, import.meta.url).pathname
  const { code } = await runInVm({
    kernel: vm.kernel,
    icount: vm.isCounted,
    cpus: vm.isCounted ? 1 : 2,
    memoryMiB: 6144,
    command: [process.execPath, path, JSON.stringify(task)],
    stdout,
  })
  if (code !== 0) throw new Error(`${program} ended with ${code} in the VM`)
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as Result
}
