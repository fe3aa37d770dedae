/**
 * The times of published drives, as data: what `--latency PROFILE` chooses from. die-model.ts says how they add up.
 *
 * Each profile names where every figure in it comes from. None is ours, and none is a promise about a drive of that name: they
 * are models that their authors fitted to a drive.
 */

export interface LatencyProfile {
  readonly doc: string
  readonly source: string
  /** Dies (or planes, where the source serves those independently) that work at the same time. */
  readonly dies: number
  /** How many of them a zone's pages are striped over; divides `dies`. */
  readonly diesPerZone: number
  /** What is read at once. */
  readonly pageBytes: number
  /** What is programmed at once; a multiple of pageBytes. The stripe over dies is of this size. */
  readonly programBytes: number
  /** Reading at most 4 KiB of a page, and more than that. */
  readonly read4kUs: number
  readonly readUs: number
  readonly programUs: number
  /** Erasing, at a reset, on each die of the zone. */
  readonly eraseUs: number
  /** Between a die and the controller; bytes a microsecond, which is 10^6 bytes a second. */
  readonly channelBytesPerUs: number
  /** Between the controller and the host. */
  readonly hostBytesPerUs: number
  /** The controller's own work for a read of at most 4 KiB, and of more. */
  readonly controllerRead4kUs: number
  readonly controllerReadUs: number
  /** The controller's own work for a write: for each, and for each 4 KiB of it. */
  readonly controllerWriteUs: number
  readonly controllerWrite4kUs: number
  /** Program units of a zone that the write cache has room for; 0: the cache is no limit. */
  readonly cacheUnits: number
  /** Whether a write is done when it is in the cache; else when what it completes is programmed. */
  readonly isCached: boolean
  /** Program units that a finish writes, at most. */
  readonly finishUnits: number
}

const KIB = 1024

/** Name → profile. `none` is no profile: requests take what they take. */
export const LATENCY_PROFILES: Readonly<Record<string, LatencyProfile>> = {
  zn540: {
    doc: 'Western Digital Ultrastar DC ZN540: TLC, 32 dies, large zones over all of them, cached writes',
    source: 'NVMeVirt (github.com/snu-csl/nvmevirt), ssd_config.h, BASE_SSD == WD_ZN540',
    dies: 32,
    diesPerZone: 32,
    pageBytes: 32 * KIB,
    programBytes: 96 * KIB,
    read4kUs: 50,
    readUs: 58,
    programUs: 561,
    eraseUs: 0,
    channelBytesPerUs: 450,
    hostBytesPerUs: 3050,
    controllerRead4kUs: 20,
    controllerReadUs: 13,
    controllerWriteUs: 5.6,
    controllerWrite4kUs: 0.6,
    cacheUnits: 10,
    isCached: true,
    finishUnits: 0,
  },
  prototype: {
    doc: 'a prototype with small zones: TLC, 128 dies, a zone on one of them, writes that wait for the program',
    source: 'NVMeVirt (github.com/snu-csl/nvmevirt), ssd_config.h, BASE_SSD == ZNS_PROTOTYPE',
    dies: 128,
    diesPerZone: 1,
    pageBytes: 64 * KIB,
    programBytes: 128 * KIB,
    read4kUs: 25.485,
    readUs: 40.95,
    programUs: 1913.64,
    eraseUs: 0,
    channelBytesPerUs: 800,
    hostBytesPerUs: 3200,
    controllerRead4kUs: 32.15,
    controllerReadUs: 32.15,
    controllerWriteUs: 0,
    controllerWrite4kUs: 0,
    cacheUnits: 0,
    isCached: false,
    finishUnits: 0,
  },
  confzns: {
    doc: 'the drive of the ConfZNS++ emulator: TLC, 64 planes, 8 a zone, no cache, resets and finishes that take time',
    source:
      'ConfZNS++ (github.com/stonet-research/confznsplusplus), hw/femu/zns/zns.h (times) and zns.c (16 KiB pages, 16 of them a finish); planes from the defaults of ConfZNS: 8 channels, 2 ways, 4 planes, a zone on one channel',
    dies: 64,
    diesPerZone: 8,
    pageBytes: 16 * KIB,
    programBytes: 16 * KIB,
    read4kUs: 65,
    readUs: 65,
    programUs: 450,
    eraseUs: 3000,
    // 25 us a page of 16 KiB.
    channelBytesPerUs: (16 * KIB) / 25,
    hostBytesPerUs: Number.POSITIVE_INFINITY,
    controllerRead4kUs: 0,
    controllerReadUs: 0,
    controllerWriteUs: 0,
    controllerWrite4kUs: 0,
    cacheUnits: 0,
    isCached: false,
    finishUnits: 16,
  },
}

/** What `--latency` takes. */
export const LATENCY_NAMES: readonly string[] = ['none', ...Object.keys(LATENCY_PROFILES)]
