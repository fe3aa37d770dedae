// Where the bytes of a device are: a page map and a sparse file in shared memory. See docs/BOUNDARY.md.
//
// All calls return >= 0 or -errno. Any number of threads, each with a Media of its own over the same files, may call at once;
// calls that overlap in bytes are the caller's to order (parts of one page are not: their writers take turns).
// Nothing here stores through the mapping of `data`: the kernel does, so that full shared memory is ENOSPC and not SIGBUS.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "layout.h"
#include "shared-memory.h"

namespace ublk {

inline constexpr uint64_t PAGE_MASK = PAGE_BYTES - 1;
inline constexpr uint64_t WORDS_A_MAP_PAGE = PAGE_BYTES / sizeof(uint64_t);

class Media {
 public:
  // What went wrong is in `problem`, for people.
  static int open(const std::string* directory, uint64_t bytes, bool sameFill, uint64_t spareBytes,
                  bool create, std::unique_ptr<Media>& media, std::string& problem);
  ~Media();
  Media(const Media&) = delete;
  Media& operator=(const Media&) = delete;

  uint64_t bytes() const { return bytes_; }
  bool sameFill() const { return sameFill_; }
  bool contains(uint64_t offset, uint64_t length) const {
    return length <= bytes_ && offset <= bytes_ - length;
  }

  // Store `length` bytes. `filled` is set to whether the last page was same-fill.
  int store(uint64_t offset, const uint8_t* source, size_t length, bool* filled);
  int load(uint64_t offset, uint8_t* target, size_t length);
  int discard(uint64_t offset, uint64_t length);
  // discard(), but up to `spareBytes` of memory in all stay with their pages, for the kernel to copy the next write into.
  int recycle(uint64_t offset, uint64_t length);
  int flush();

  // Make the kinds of a range safe to touch (their memory is there).
  int prepare(uint64_t offset, uint64_t length);
  uint8_t kind(uint64_t page) const { return __atomic_load_n(&kinds_[page], __ATOMIC_ACQUIRE); }
  uint64_t word(uint64_t page) const { return __atomic_load_n(&words_[page], __ATOMIC_RELAXED); }
  // Whether all pages of a range are whole and have memory, so that the kernel may write them in place. If so, land() or
  // unclaim() must follow.
  bool claim(uint64_t offset, size_t length);
  uint8_t* raw(uint64_t offset) const { return data_.bytes + offset; }
  // Claimed pages were written: they are raw, but those that are same-fill give their memory back.
  int land(uint64_t offset, size_t length, bool* filled);
  void unclaim(uint64_t offset, size_t length);

  int64_t rawPages() const { return __atomic_load_n(&header_->rawPages, __ATOMIC_RELAXED); }
  int64_t fillPages() const { return __atomic_load_n(&header_->fillPages, __ATOMIC_RELAXED); }
  int64_t sparePages() const { return __atomic_load_n(&header_->sparePages, __ATOMIC_RELAXED); }

 private:
  struct Tally;

  Media() = default;
  int openFiles(const std::string* directory, bool create, std::string& problem);
  int map(bool create, std::string& problem);
  int checkHeader(std::string& problem) const;
  int recount();
  int prepareWords(uint64_t page);
  int allocateMap(uint64_t at);
  // Calls `each` with every page whose kind has memory. Returns 0 or -errno.
  template <typename Each>
  int forEachKind(Each each) const;
  int storePart(uint64_t offset, const uint8_t* source, size_t length, Tally& tally);
  int storeRaw(uint64_t offset, const uint8_t* source, size_t length, Tally& tally);
  int clearPart(uint64_t offset, size_t length, Tally& tally);
  void setKind(uint64_t page, uint8_t kind, Tally& tally);
  int setFill(uint64_t page, const uint8_t* source, Tally& tally);
  int storeFill(uint64_t page, const uint8_t* source, Tally& tally);
  bool trade(uint64_t page, uint8_t from, uint8_t to);
  bool hold(uint64_t page);
  int writeRaw(const uint8_t* source, size_t length, uint64_t offset);
  uint64_t keepSpare(uint64_t page, uint64_t end, Tally& tally);
  bool giveBackSpare();
  int punch(uint64_t offset, uint64_t length);

  uint64_t bytes_ = 0;
  uint64_t pages_ = 0;
  bool sameFill_ = false;
  int64_t sparePagesMax_ = 0;
  bool durable_ = false;  // the files are on a disk, not in memory
  int pagesFd_ = -1;
  int dataFd_ = -1;
  Mapping map_;
  Mapping data_;
  PagesHeader* header_ = nullptr;
  uint8_t* kinds_ = nullptr;
  uint64_t* words_ = nullptr;
  // Which parts of the page map this Media has made sure to have memory for.
  std::vector<bool> kindsReady_;
  std::vector<bool> wordsReady_;
};

// Where the fill words begin in `pages`.
uint64_t wordsOffset(uint64_t pages);
// Give a range of a file its memory, so that touching it cannot be SIGBUS; or, by `mode`, take it back (fallocate). Nothing
// happens where the file system has no such thing. Returns 0 or -errno.
int allocate(int fd, uint64_t offset, uint64_t length, int mode = 0);

// pread/pwrite until all is done. Returns 0 or -errno; -EIO when the other end gives out early.
int readAll(int fd, uint8_t* target, size_t length, uint64_t position);
int writeAll(int fd, const uint8_t* source, size_t length, uint64_t position);

template <typename Each>
int Media::forEachKind(Each each) const {
  const off_t begin = sizeof(PagesHeader);
  const off_t end = begin + static_cast<off_t>(pages_);
  for (off_t at = begin; at < end;) {
    at = lseek(pagesFd_, at, SEEK_DATA);
    if (at < 0) return errno == ENXIO ? 0 : -errno;
    const off_t hole = lseek(pagesFd_, at, SEEK_HOLE);
    if (hole < 0) return -errno;
    for (; at < std::min(hole, end); at++) each(static_cast<uint64_t>(at - begin));
  }
  return 0;
}

}  // namespace ublk
