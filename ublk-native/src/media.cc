#include "media.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "fill-scan.h"

namespace ublk {
namespace {

// Writers of parts of one page take turns: two appends of 512 bytes may fall into one page, on two queues. Striped by page,
// and in this process's memory: a lock in the files would stay taken after SIGKILL.
std::mutex partLocks[64];

uint64_t pageOf(uint64_t offset) { return offset >> PAGE_SHIFT; }

// Memory that ran out while the kernel copied into a mapping is EFAULT.
int asFull(int error) { return error == -EFAULT ? -ENOSPC : error; }

template <typename Call, typename Byte>
int moveAll(Call call, int fd, Byte* bytes, size_t length, uint64_t position) {
  while (length > 0) {
    const ssize_t moved = call(fd, bytes, length, static_cast<off_t>(position));
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0) return moved < 0 ? -errno : -EIO;
    bytes += moved;
    length -= static_cast<size_t>(moved);
    position += static_cast<uint64_t>(moved);
  }
  return 0;
}

}  // namespace

int readAll(int fd, uint8_t* target, size_t length, uint64_t position) {
  return moveAll(pread, fd, target, length, position);
}

int writeAll(int fd, const uint8_t* source, size_t length, uint64_t position) {
  return moveAll(pwrite, fd, source, length, position);
}

// Changes of the counters, added up so that the shared line is touched once a call.
struct Media::Tally {
  PagesHeader* header;
  int64_t raw = 0;
  int64_t fill = 0;
  int64_t spare = 0;

  explicit Tally(PagesHeader* h) : header(h) {}
  ~Tally() {
    if (raw != 0) __atomic_fetch_add(&header->rawPages, raw, __ATOMIC_RELAXED);
    if (fill != 0) __atomic_fetch_add(&header->fillPages, fill, __ATOMIC_RELAXED);
    if (spare != 0) __atomic_fetch_add(&header->sparePages, spare, __ATOMIC_RELAXED);
  }
  void count(uint8_t kind, int64_t by) {
    if (kind == PAGE_RAW) raw += by;
    if (kind == PAGE_FILL) fill += by;
    if (kind == PAGE_SPARE || kind == PAGE_CLAIMED) spare += by;
  }
};

int Media::allocateMap(uint64_t at) {
  const uint64_t length = std::min<uint64_t>(PAGE_BYTES, map_.length - at);
  const int full = allocate(pagesFd_, at, length);
  return full == -ENOSPC && giveBackSpare() ? allocate(pagesFd_, at, length) : full;
}

int Media::prepare(uint64_t offset, uint64_t length) {
  if (length == 0) return 0;
  const uint64_t first = (sizeof(PagesHeader) + pageOf(offset)) / PAGE_BYTES;
  const uint64_t last = (sizeof(PagesHeader) + pageOf(offset + length - 1)) / PAGE_BYTES;
  for (uint64_t part = first; part <= last; part++) {
    if (kindsReady_[part]) continue;
    const uint64_t at = part * PAGE_BYTES;
    const int full = allocateMap(at);
    if (full != 0) return full;
    kindsReady_[part] = true;
  }
  return 0;
}

int Media::prepareWords(uint64_t page) {
  const uint64_t part = page / WORDS_A_MAP_PAGE;
  if (wordsReady_[part]) return 0;
  const uint64_t at = wordsOffset(pages_) + part * PAGE_BYTES;
  const int full = allocateMap(at);
  wordsReady_[part] = full == 0;
  return full;
}

void Media::setKind(uint64_t page, uint8_t kind, Tally& tally) {
  const uint8_t old = __atomic_exchange_n(&kinds_[page], kind, __ATOMIC_ACQ_REL);
  if (old == kind) return;
  tally.count(old, -1);
  tally.count(kind, 1);
}

// `source` is a page of one word. Its memory, if it had any, is the caller's to give back.
int Media::setFill(uint64_t page, const uint8_t* source, Tally& tally) {
  if (const int full = prepareWords(page); full != 0) return full;
  uint64_t fill;
  std::memcpy(&fill, source, sizeof fill);
  __atomic_store_n(&words_[page], fill, __ATOMIC_RELAXED);
  setKind(page, PAGE_FILL, tally);
  return 0;
}

int Media::storeFill(uint64_t page, const uint8_t* source, Tally& tally) {
  const uint64_t at = page << PAGE_SHIFT;
  const bool hadMemory = hold(page);
  const int failed = setFill(page, source, tally);
  if (failed != 0) unclaim(at, PAGE_BYTES);
  return failed == 0 && hadMemory ? punch(at, PAGE_BYTES) : failed;
}

int Media::punch(uint64_t offset, uint64_t length) {
  // A file system without holes keeps the memory; the kinds say what the pages hold.
  return allocate(dataFd_, offset, length, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
}

int Media::writeRaw(const uint8_t* source, size_t length, uint64_t offset) {
  int failed = asFull(writeAll(dataFd_, source, length, offset));
  if (failed == -ENOSPC && giveBackSpare())
    failed = asFull(writeAll(dataFd_, source, length, offset));
  return failed;
}

int Media::storeRaw(uint64_t offset, const uint8_t* source, size_t length, Tally& tally) {
  if (length == 0) return 0;
  const uint64_t end = pageOf(offset + length);
  for (uint64_t page = pageOf(offset); page < end; page++) hold(page);
  const int failed = writeRaw(source, length, offset);
  if (failed != 0) {
    unclaim(offset, length);
    return failed;
  }
  for (uint64_t page = pageOf(offset); page < end; page++) setKind(page, PAGE_RAW, tally);
  return 0;
}

// A part of one page: what the rest of the page is, is made first.
int Media::storePart(uint64_t offset, const uint8_t* source, size_t length, Tally& tally) {
  const uint64_t page = pageOf(offset);
  const std::lock_guard<std::mutex> turn(partLocks[page % std::size(partLocks)]);
  const uint8_t was = kind(page);
  if (was == PAGE_RAW) return writeRaw(source, length, offset);
  alignas(64) uint8_t whole[PAGE_BYTES];
  const ScanVariant& best = bestVariant();
  best.fill(whole, PAGE_BYTES, was == PAGE_FILL ? word(page) : 0);
  std::memcpy(whole + (offset & PAGE_MASK), source, length);
  if (!sameFill_ || !best.scan(whole, PAGE_BYTES))
    return storeRaw(page << PAGE_SHIFT, whole, PAGE_BYTES, tally);
  return storeFill(page, whole, tally);
}

int Media::store(uint64_t offset, const uint8_t* source, size_t length, bool* filled) {
  if (const int full = prepare(offset, length); full != 0) return full;
  Tally tally(header_);
  const ScanVariant& best = bestVariant();
  size_t at = 0;
  size_t rawFrom = 0;  // source[rawFrom..at) are whole pages that wait to be stored raw
  while (at < length) {
    const size_t within = (offset + at) & PAGE_MASK;
    const size_t part = std::min<size_t>(PAGE_BYTES - within, length - at);
    const bool whole = part == PAGE_BYTES;
    *filled = whole && sameFill_ && best.scan(source + at, PAGE_BYTES);
    if (whole && !*filled) {
      at += part;
      continue;
    }
    int failed = storeRaw(offset + rawFrom, source + rawFrom, at - rawFrom, tally);
    if (failed != 0) return failed;
    if (whole) {
      failed = storeFill(pageOf(offset + at), source + at, tally);
    } else {
      failed = storePart(offset + at, source + at, part, tally);
    }
    if (failed != 0) return failed;
    at += part;
    rawFrom = at;
  }
  return storeRaw(offset + rawFrom, source + rawFrom, at - rawFrom, tally);
}

bool Media::trade(uint64_t page, uint8_t from, uint8_t to) {
  return __atomic_compare_exchange_n(&kinds_[page], &from, to, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED);
}

// Whether the page has memory that nobody takes away until its kind is set: claims a spare one, and waits for a thread that
// is giving it back.
bool Media::hold(uint64_t page) {
  for (;;) {
    const uint8_t is = kind(page);
    if (is == PAGE_SPARE && trade(page, PAGE_SPARE, PAGE_CLAIMED)) return true;
    if (is == PAGE_RAW) return true;
    if (is == PAGE_HOLE || is == PAGE_FILL) return false;
  }
}

bool Media::claim(uint64_t offset, size_t length) {
  if (((offset | length) & PAGE_MASK) != 0) return false;
  const uint64_t end = pageOf(offset + length);
  for (uint64_t page = pageOf(offset); page < end; page++) {
    if (hold(page)) continue;
    unclaim(offset, (page << PAGE_SHIFT) - offset);
    return false;
  }
  return true;
}

void Media::unclaim(uint64_t offset, size_t length) {
  const uint64_t end = pageOf(offset + length);
  for (uint64_t page = pageOf(offset); page < end; page++) trade(page, PAGE_CLAIMED, PAGE_SPARE);
}

int Media::land(uint64_t offset, size_t length, bool* filled) {
  *filled = false;
  int failed = 0;
  Tally tally(header_);
  const ScanVariant& best = bestVariant();
  for (uint64_t at = offset; at < offset + length; at += PAGE_BYTES) {
    const uint64_t page = pageOf(at);
    *filled = sameFill_ && best.scan(raw(at), PAGE_BYTES);
    // No memory for the word: the page stays raw, and is right.
    if (!*filled || setFill(page, raw(at), tally) != 0)
      setKind(page, PAGE_RAW, tally);
    else if (const int bad = punch(at, PAGE_BYTES); bad != 0)
      failed = bad;
  }
  return failed;
}

int Media::load(uint64_t offset, uint8_t* target, size_t length) {
  if (const int full = prepare(offset, length); full != 0) return full;
  for (size_t at = 0; at < length;) {
    const uint64_t page = pageOf(offset + at);
    const size_t within = (offset + at) & PAGE_MASK;
    const size_t part = std::min<size_t>(PAGE_BYTES - within, length - at);
    const uint8_t is = kind(page);
    if (is == PAGE_RAW) {
      if (const int failed = readAll(dataFd_, target + at, part, offset + at); failed != 0)
        return failed;
    } else {
      const uint64_t fill = is == PAGE_FILL ? word(page) : 0;
      bestVariant().fill(target + at, part, std::rotr(fill, static_cast<int>(within % 8 * 8)));
    }
    at += part;
  }
  return 0;
}

int Media::clearPart(uint64_t offset, size_t length, Tally& tally) {
  static const uint8_t zeros[PAGE_BYTES] = {};
  const uint64_t page = pageOf(offset);
  const uint8_t is = kind(page);
  const bool stored = is == PAGE_RAW || (is == PAGE_FILL && word(page) != 0);
  if (!stored) return 0;
  return storePart(offset, zeros, length, tally);
}

int Media::discard(uint64_t offset, uint64_t length) {
  if (length == 0) return 0;
  if (const int full = prepare(offset, length); full != 0) return full;
  Tally tally(header_);
  const uint64_t end = offset + length;
  const uint64_t firstWhole = (offset + PAGE_MASK) & ~PAGE_MASK;
  const uint64_t endWhole = end & ~PAGE_MASK;
  if (firstWhole > endWhole) return clearPart(offset, length, tally);
  if (offset < firstWhole)
    if (const int bad = clearPart(offset, firstWhole - offset, tally); bad != 0) return bad;
  if (endWhole < end)
    if (const int bad = clearPart(endWhole, end - endWhole, tally); bad != 0) return bad;
  if (firstWhole == endWhole) return 0;
  // The memory first: killed between the two, the pages are raw zeros, which is right as well.
  if (const int failed = punch(firstWhole, endWhole - firstWhole); failed != 0) return failed;
  uint64_t page = pageOf(firstWhole);
  const uint64_t endPage = pageOf(endWhole);
  for (; page < endPage; page++) {
    if (page % 8 == 0) {
      // Eight kinds at once while there is nothing to forget.
      while (page + 8 <= endPage) {
        uint64_t kinds;
        std::memcpy(&kinds, &kinds_[page], sizeof kinds);
        if (kinds != 0) break;
        page += 8;
      }
      if (page == endPage) break;
    }
    hold(page);  // a thread that gives it back must be done with it
    setKind(page, PAGE_HOLE, tally);
  }
  return 0;
}

// Raw pages become spare ones, up to the limit; fills become holes. Returns the first page that is left.
uint64_t Media::keepSpare(uint64_t page, uint64_t end, Tally& tally) {
  for (; page < end; page++) {
    const uint8_t is = kind(page);
    if (is == PAGE_RAW) {
      if (sparePages() + tally.spare >= sparePagesMax_) return page;
      setKind(page, PAGE_SPARE, tally);
    } else if (is == PAGE_FILL) {
      setKind(page, PAGE_HOLE, tally);
    }
  }
  return page;
}

int Media::recycle(uint64_t offset, uint64_t length) {
  if (sparePagesMax_ == 0 || ((offset | length) & PAGE_MASK) != 0) return discard(offset, length);
  if (const int full = prepare(offset, length); full != 0) return full;
  const uint64_t end = pageOf(offset + length);
  uint64_t rest;
  {
    Tally tally(header_);
    rest = keepSpare(pageOf(offset), end, tally);
  }
  return discard(rest << PAGE_SHIFT, (end - rest) << PAGE_SHIFT);
}

// Memory has run out: whether there was any to give back.
bool Media::giveBackSpare() {
  if (sparePages() == 0) return false;
  Tally tally(header_);
  bool any = false;
  forEachKind([&](uint64_t page) {
    if (!trade(page, PAGE_SPARE, PAGE_CLAIMED)) return;
    any |= punch(page << PAGE_SHIFT, PAGE_BYTES) == 0;
    setKind(page, PAGE_HOLE, tally);
  });
  return any;
}

int Media::flush() {
  if (!durable_) return 0;
  if (fdatasync(dataFd_) != 0 || fdatasync(pagesFd_) != 0) return -errno;
  return 0;
}

}  // namespace ublk
