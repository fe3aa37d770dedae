/** Loading a kernel module, where we may. */
import { execFile } from 'node:child_process'

/** `modprobe name`; resolves to whether it worked. Missing modprobe or rights are a plain false. */
export function loadModule(name: string): Promise<boolean> {
  return new Promise(resolve => {
    execFile('modprobe', [name], error => resolve(error === null))
  })
}
