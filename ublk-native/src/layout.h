// What crosses between TypeScript and C++. docs/BOUNDARY.md is the contract; layout.ts is the other copy, compared at load.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ublk {

inline constexpr uint32_t COMMAND_WORDS = 8;
inline constexpr uint32_t COMMAND_COMMIT = 0;
inline constexpr uint32_t COMMAND_WRITE = 1;
inline constexpr uint32_t COMMAND_READ = 2;
inline constexpr uint32_t COMMAND_DISCARD = 3;
inline constexpr uint32_t COMMAND_FLUSH = 4;
inline constexpr uint32_t COMMAND_APPEND_BIT = 0x100;
inline constexpr uint16_t TAG_FAILED = 0x8000;
inline constexpr uint32_t PARITY_SHIFT = 16;
inline constexpr uint32_t STAMP_BIT = 1U << 30;

inline constexpr uint8_t PAGE_HOLE = 0;
inline constexpr uint8_t PAGE_FILL = 1;
inline constexpr uint8_t PAGE_RAW = 2;
inline constexpr uint8_t PAGE_COMPRESSED = 3;
// Set on a raw or compressed page of a region whose bytes are in the tier.
inline constexpr uint8_t PAGE_TIERED = 4;
inline constexpr uint32_t PAGE_SHIFT = 12;
inline constexpr uint32_t PAGE_BYTES = 1U << PAGE_SHIFT;

// One command, as it lies in `commands`. Word pairs are not aligned to 8 bytes by themselves, hence the halves.
struct Command {
  uint32_t kind;
  uint32_t tag;
  int32_t result;
  uint32_t bytes;
  uint32_t mediaOffsetLow;
  uint32_t mediaOffsetHigh;
  uint32_t lbaLow;
  uint32_t lbaHigh;

  uint64_t mediaOffset() const { return uint64_t{mediaOffsetHigh} << 32 | mediaOffsetLow; }
  uint64_t lba() const { return uint64_t{lbaHigh} << 32 | lbaLow; }
};
static_assert(sizeof(Command) == COMMAND_WORDS * 4);
static_assert(offsetof(Command, mediaOffsetLow) == 16 && offsetof(Command, lbaLow) == 24);

inline constexpr uint32_t CODEC_NONE = 0;
inline constexpr uint32_t CODEC_LZ4 = 1;
inline constexpr uint32_t CODEC_ZSTD = 2;
// A page that does not shrink to three quarters is stored as it is.
inline constexpr uint32_t COMPRESSED_BYTES_MAX = PAGE_BYTES / 4 * 3;

// The head of the `pages` file. Regions follow it, kinds (1 byte a page), and words (8 bytes a page) from a multiple of 8.
struct PagesHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t codec;
  uint64_t bytes;
  uint64_t regionBytes;
  uint64_t inPlaceBytes;
  int64_t owner;       // the process that counted last
  int64_t usedBytes;   // memory of all regions
  int64_t spareBytes;  // of that, what resets have kept
};
static_assert(sizeof(PagesHeader) == 64);
inline constexpr uint64_t PAGES_MAGIC = 0x50414d42414c535aULL;  // "ZSLABMAP"
inline constexpr uint32_t PAGES_VERSION = 3;

// A part of the media that is written in order and emptied whole, in two cache lines: the second is of its pages in the
// tier. Those that are written in place have only the counters.
struct Region {
  uint64_t cursor;  // bytes taken of its part of `data`
  uint64_t ready;   // bytes of that part that have memory
  uint64_t spare;   // what the last reset kept of them, until the next write; else 0
  int64_t rawPages;
  int64_t fillPages;
  int64_t compressedPages;
  int64_t compressedBytes;
  uint64_t epoch;  // counts what a demotion that is under way must not overlook
  uint64_t slot;   // of the tier, from 1; 0: it has none
  int64_t tieredPages;
  int64_t tieredBytes;
  uint64_t punched;  // bytes below `ready` that have been given back, because they are in the tier
  uint64_t tierReads;  // pages read from the tier, and written to it, since the media was made
  uint64_t tierWrites;
  uint64_t emptied;  // how often
  uint64_t unused;
};
static_assert(sizeof(Region) == 128);

}  // namespace ublk
