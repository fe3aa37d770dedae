/**
 * `npm run validate SUITE [options]`: other people's test suites on our device. They run for minutes, in VMs of their own.
 */
const SUITES: Readonly<
  Record<string, () => Promise<{ main: (args: string[]) => Promise<number> }>>
> = {
  'fio-zbd': () => import('./fio-zbd.js'),
}

const [name = '', ...args] = process.argv.slice(2)
const load = SUITES[name]
if (load === undefined) {
  process.stderr.write(
    `npm run validate SUITE: expected one of ${Object.keys(SUITES).join(', ')}\n`,
  )
  process.exitCode = 2
} else process.exitCode = await (await load()).main(args)
