// Where the bytes of a device are: a page map in shared memory and a sparse file, there or on a disk. See docs/BOUNDARY.md.
//
// The media has two parts. Bytes up to `inPlaceBytes` are overwritten in place: a page that has memory has it at its own
// offset of `data`. The rest is regions that are written in order and emptied whole: what a page needs, compressed or not, is
// taken from its region's part of `data` by a cursor, so there is no page allocator and nothing to fragment.
//
// All calls return >= 0 or -errno. Any number of threads, each with a Media of its own over the same files, may call at once;
// calls that overlap in bytes are the caller's to order (parts of one page are not: their writers take turns).
// Nothing here stores through the mapping of `data` where memory has not been reserved before, so that memory that runs out
// is ENOSPC and not SIGBUS.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "codec.h"
#include "layout.h"
#include "shared-memory.h"

namespace ublk {

inline constexpr uint64_t PAGE_MASK = PAGE_BYTES - 1;
inline constexpr uint64_t WORDS_A_MAP_PAGE = PAGE_BYTES / sizeof(uint64_t);
inline constexpr uint64_t NOWHERE = UINT64_MAX;
inline constexpr uint8_t ZERO_PAGE[PAGE_BYTES] = {};

inline uint64_t pageOf(uint64_t offset) { return offset >> PAGE_SHIFT; }
inline uint64_t roundUp(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

struct MediaOptions {
  std::string directory;  // empty: anonymous memory
  std::string dataDirectory;  // not empty: an image, whose `data` is there and has to outlive a power cut
  std::string tier;  // a file or block device; empty: none
  uint64_t tierOffset = 0;  // where its first slot begins
  uint64_t bytes = 0;
  uint64_t regionBytes = 0;  // a power of two; 0: everything is in place
  uint64_t inPlaceBytes = 0;
  bool sameFill = false;
  uint32_t codec = CODEC_NONE;
  int level = 0;
  uint64_t spareBytes = 0;  // how much memory resets may keep
  uint64_t limitBytes = 0;  // how much memory all pages may take; 0: no limit
  bool create = false;
};

// How far a demotion has come: the next page to look at, and the bytes that have moved.
struct Demotion {
  uint64_t next;
  uint64_t bytes;
};

class Media {
 public:
  // What went wrong is in `problem`, for people.
  static int open(const MediaOptions& options, std::unique_ptr<Media>& media, std::string& problem);
  ~Media();
  Media(const Media&) = delete;
  Media& operator=(const Media&) = delete;

  uint64_t bytes() const { return options_.bytes; }
  bool contains(uint64_t offset, uint64_t length) const {
    return length <= bytes() && offset <= bytes() - length;
  }

  // What a region needs of the tier.
  uint64_t slotBytes() const { return stride_; }

  // Store `length` bytes. `filled` is set to whether the last page was same-fill.
  int store(uint64_t offset, const uint8_t* source, size_t length, bool* filled);
  int load(uint64_t offset, uint8_t* target, size_t length);
  int discard(uint64_t offset, uint64_t length);
  // discard(); where that empties a region, it begins anew, and up to `spareBytes` in all of its memory stay with it.
  int recycle(uint64_t offset, uint64_t length);
  int flush();

  // Make the kinds of a range safe to touch (their memory is there).
  int prepare(uint64_t offset, uint64_t length);
  uint8_t kind(uint64_t page) const { return __atomic_load_n(&kinds_[page], __ATOMIC_ACQUIRE); }
  uint64_t word(uint64_t page) const { return __atomic_load_n(&words_[page], __ATOMIC_RELAXED); }
  // The bytes of a raw page.
  const uint8_t* raw(uint64_t page) const { return data_.bytes + positionOf(page); }
  // A compressed page into `target`, wherever it is. Returns 0 or -EIO, or what reading the tier said.
  int expand(uint64_t page, uint8_t* target) const;

  // Memory that the kernel may copy a range into, or null: then it goes through store(). land() or unclaim() must follow.
  // `expectFill` says that same-fill pages are likely.
  uint8_t* claim(uint64_t offset, size_t length, bool expectFill);
  int land(uint64_t offset, size_t length, const uint8_t* bytes, bool* filled);
  void unclaim(uint64_t offset, size_t length, const uint8_t* bytes);

  // Of a page in the tier: `length` bytes from its first into `target` (aligned to a page, with room for one more). Returns
  // where they begin in it, or -errno.
  int fetch(uint64_t page, uint64_t length, uint8_t* target) const;
  // Where in the tier a range of whole pages lies raw and in one piece, on whole pages of it; or NOWHERE. It counts as read.
  uint64_t inTier(uint64_t offset, uint64_t length);
  int tierFd() const { return tierFd_; }
  // Whether a raw page in the tier lies right behind the one before it.
  bool followsInTier(uint64_t page) const;
  // demote(), release() and dropSlot() of media.ts, for one thread at a time.
  int demote(uint64_t index, uint64_t slot, uint64_t end, unsigned kinds, Demotion& demotion);
  int release(uint64_t index);
  int dropSlot(uint64_t index);

  uint64_t regionCount() const { return regionCount_; }
  Region region(uint64_t index) const;
  // Give back what emptied regions have kept. Of an image only this does: until it is durable that they are empty, bytes stay.
  int trim(uint64_t offset, uint64_t length);
  uint64_t usedBytes() const { return static_cast<uint64_t>(load64(&header_->usedBytes)); }
  uint64_t spareBytes() const { return static_cast<uint64_t>(load64(&header_->spareBytes)); }

 private:
  class Tally;

  Media() = default;
  // media-open.cc
  int openFiles(std::string& problem);
  int map(std::string& problem);
  int checkSizes(std::string& problem) const;
  int checkHeader(const PagesHeader& header, std::string& problem) const;
  int checkFiles(std::string& problem) const;
  int recount();
  // region.cc
  int reserve(uint64_t index, uint64_t length, uint64_t* position);
  void giveBack(uint64_t index, uint64_t position, uint64_t kept, uint64_t taken);
  int extend(uint64_t index, uint64_t end);
  int makeReady(uint64_t position, uint64_t length);
  void dropSpare(Region& region);
  int emptyRegion(uint64_t index);
  int punchRest(uint64_t index);
  bool fits(uint64_t more) const;
  bool hasRoom(uint64_t more);
  bool giveBackSpare();
  bool giveBackSpareLocked();
  bool giveBackSpareOf(uint64_t index);
  int allocateMap(uint64_t at);
  // media.cc
  int prepareWords(uint64_t page);
  int put(uint64_t position, const uint8_t* bytes, size_t length);
  void setWord(uint64_t page, uint64_t word);
  void mark(const void* at);
  int storeWithin(uint64_t offset, const uint8_t* source, size_t length, bool* filled);
  int storePart(uint64_t offset, const uint8_t* source, size_t length, Tally& tally);
  int storeRun(uint64_t offset, const uint8_t* source, size_t length, Tally& tally);
  int place(uint64_t page, const uint8_t* bytes, size_t length, Tally& tally);
  int setFill(uint64_t page, const uint8_t* source, Tally& tally);
  void setKind(uint64_t page, uint8_t kind, Tally& tally);
  void vacate(uint64_t page, Tally& tally);
  int discardWithin(uint64_t offset, uint64_t length);
  int forgetPages(uint64_t page, uint64_t end, Tally& tally);
  int clearPart(uint64_t offset, size_t length, Tally& tally);
  int loadPart(uint64_t offset, uint8_t* target, size_t length) const;

  // media-tier.cc
  int openTier(std::string& problem);
  int writeTier(const std::vector<iovec>& runs, uint64_t shift);
  std::unique_lock<std::mutex> disturb(uint64_t index);

  template <typename Value>
  static Value load64(const Value* at) {
    return __atomic_load_n(at, __ATOMIC_RELAXED);
  }
  uint64_t mapBytes() const { return wordsAt_ + (bytes() >> PAGE_SHIFT) * sizeof(uint64_t); }
  bool isInPlace(uint64_t offset) const { return offset < options_.inPlaceBytes; }
  uint64_t regionOf(uint64_t offset) const { return offset >> regionShift_; }
  uint64_t regionEnd(uint64_t offset) const {
    return regionCount_ == 1 ? bytes() : ((offset >> regionShift_) + 1) << regionShift_;
  }
  // Where an ordered region's part of `data` begins.
  uint64_t baseOf(uint64_t index) const {
    return options_.inPlaceBytes + (index - (options_.inPlaceBytes >> regionShift_)) * stride_;
  }
  uint64_t positionOf(uint64_t page) const;
  uint64_t slotAt(uint64_t slot) const { return options_.tierOffset + (slot - 1) * stride_; }

  MediaOptions options_;
  bool durable_ = false;  // an image
  unsigned regionShift_ = 63;
  uint64_t regionCount_ = 1;
  uint64_t stride_ = 0;
  uint64_t kindsAt_ = 0;
  uint64_t wordsAt_ = 0;
  uint64_t dataBytes_ = 0;
  int pagesFd_ = -1;
  int dataFd_ = -1;
  int tierFd_ = -1;
  Mapping map_;
  Mapping data_;
  Mapping dirty_;  // of an image: a bit for each PAGE_BYTES of the page map that have changed
  PagesHeader* header_ = nullptr;
  Region* regions_ = nullptr;
  uint8_t* kinds_ = nullptr;
  uint64_t* words_ = nullptr;
  Codec codec_;
  // Which parts of the page map this Media has made sure to have memory for.
  std::vector<bool> kindsReady_;
  std::vector<bool> wordsReady_;
};

// Changes of a region's counters, added up so that its shared line is touched once a call.
class Media::Tally {
 public:
  Tally(const Media& media, uint64_t offset)
      : header_(media.header_),
        region_(media.regions_ + media.regionOf(offset)),
        inPlace_(media.isInPlace(offset)) {}
  ~Tally();
  void count(uint8_t kind, uint64_t word, int64_t by);

 private:
  PagesHeader* header_;
  Region* region_;
  bool inPlace_;
  int64_t raw_ = 0;
  int64_t fill_ = 0;
  int64_t compressed_ = 0;
  int64_t compressedBytes_ = 0;
  int64_t tiered_ = 0;
  int64_t tieredBytes_ = 0;
};

// The word of a page whose bytes are in an ordered region: where, and how many.
inline constexpr unsigned LENGTH_SHIFT = 48;
inline constexpr uint64_t POSITION_MASK = (uint64_t{1} << LENGTH_SHIFT) - 1;
inline uint64_t lengthOf(uint64_t word) { return word >> LENGTH_SHIFT; }

// Give a range of a file its memory, so that touching it cannot be SIGBUS; or, by `mode`, take it back (fallocate). Returns 0
// or -errno.
int allocate(int fd, uint64_t offset, uint64_t length, int mode = 0);
int punch(int fd, uint64_t offset, uint64_t length);

// Memory that ran out while the kernel copied into a mapping is EFAULT.
inline int asFull(int error) { return error == -EFAULT ? -ENOSPC : error; }

// pread/pwrite until all is done. Returns 0 or -errno; -EIO when the other end gives out early.
int readAll(int fd, uint8_t* target, size_t length, uint64_t position);
int writeAll(int fd, const uint8_t* source, size_t length, uint64_t position);

}  // namespace ublk
