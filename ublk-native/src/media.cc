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

  explicit Tally(PagesHeader* h) : header(h) {}
  ~Tally() {
    if (raw != 0) __atomic_fetch_add(&header->rawPages, raw, __ATOMIC_RELAXED);
    if (fill != 0) __atomic_fetch_add(&header->fillPages, fill, __ATOMIC_RELAXED);
  }
  void count(uint8_t kind, int64_t by) {
    if (kind == PAGE_RAW) raw += by;
    if (kind == PAGE_FILL) fill += by;
  }
};

int Media::prepare(uint64_t offset, uint64_t length) {
  if (length == 0) return 0;
  const uint64_t first = (sizeof(PagesHeader) + pageOf(offset)) / PAGE_BYTES;
  const uint64_t last = (sizeof(PagesHeader) + pageOf(offset + length - 1)) / PAGE_BYTES;
  for (uint64_t part = first; part <= last; part++) {
    if (kindsReady_[part]) continue;
    const uint64_t at = part * PAGE_BYTES;
    const int full = allocate(pagesFd_, at, std::min<uint64_t>(PAGE_BYTES, map_.length - at));
    if (full != 0) return full;
    kindsReady_[part] = true;
  }
  return 0;
}

int Media::prepareWords(uint64_t page) {
  const uint64_t part = page / WORDS_A_MAP_PAGE;
  if (wordsReady_[part]) return 0;
  const uint64_t at = wordsOffset(pages_) + part * PAGE_BYTES;
  const int full = allocate(pagesFd_, at, std::min<uint64_t>(PAGE_BYTES, map_.length - at));
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

int Media::punch(uint64_t offset, uint64_t length) {
  // A file system without holes keeps the memory; the kinds say what the pages hold.
  return allocate(dataFd_, offset, length, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
}

int Media::storeRaw(uint64_t offset, const uint8_t* source, size_t length, Tally& tally) {
  if (length == 0) return 0;
  const int failed = writeAll(dataFd_, source, length, offset);
  if (failed != 0) return asFull(failed);
  const uint64_t end = pageOf(offset + length);
  for (uint64_t page = pageOf(offset); page < end; page++) setKind(page, PAGE_RAW, tally);
  return 0;
}

// A part of one page: what the rest of the page is, is made first.
int Media::storePart(uint64_t offset, const uint8_t* source, size_t length, Tally& tally) {
  const uint64_t page = pageOf(offset);
  const std::lock_guard<std::mutex> turn(partLocks[page % std::size(partLocks)]);
  const uint8_t was = kind(page);
  if (was == PAGE_RAW) return asFull(writeAll(dataFd_, source, length, offset));
  alignas(64) uint8_t whole[PAGE_BYTES];
  const ScanVariant& best = bestVariant();
  best.fill(whole, PAGE_BYTES, was == PAGE_FILL ? word(page) : 0);
  std::memcpy(whole + (offset & PAGE_MASK), source, length);
  if (!sameFill_ || !best.scan(whole, PAGE_BYTES))
    return storeRaw(page << PAGE_SHIFT, whole, PAGE_BYTES, tally);
  return setFill(page, whole, tally);
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
      const uint64_t page = pageOf(offset + at);
      const bool wasRaw = kind(page) == PAGE_RAW;
      failed = setFill(page, source + at, tally);
      if (wasRaw && failed == 0) failed = punch(page << PAGE_SHIFT, PAGE_BYTES);
    } else {
      failed = storePart(offset + at, source + at, part, tally);
    }
    if (failed != 0) return failed;
    at += part;
    rawFrom = at;
  }
  return storeRaw(offset + rawFrom, source + rawFrom, at - rawFrom, tally);
}

bool Media::allRaw(uint64_t offset, size_t length) const {
  if (((offset | length) & PAGE_MASK) != 0) return false;
  const uint64_t end = pageOf(offset + length);
  for (uint64_t page = pageOf(offset); page < end; page++)
    if (kind(page) != PAGE_RAW) return false;
  return true;
}

int Media::rescan(uint64_t offset, size_t length, bool* filled) {
  *filled = false;
  if (!sameFill_) return 0;
  Tally tally(header_);
  const ScanVariant& best = bestVariant();
  for (uint64_t at = offset; at < offset + length; at += PAGE_BYTES) {
    *filled = best.scan(raw(at), PAGE_BYTES);
    if (!*filled) continue;
    const uint64_t page = pageOf(at);
    if (setFill(page, raw(at), tally) != 0) continue;  // no memory for the word: the page stays raw, and is right
    if (const int failed = punch(at, PAGE_BYTES); failed != 0) return failed;
  }
  return 0;
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
  if (is == PAGE_HOLE || (is == PAGE_FILL && word(page) == 0)) return 0;
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
    if (kind(page) != PAGE_HOLE) setKind(page, PAGE_HOLE, tally);
  }
  return 0;
}

int Media::flush() {
  if (!durable_) return 0;
  if (fdatasync(dataFd_) != 0 || fdatasync(pagesFd_) != 0) return -errno;
  return 0;
}

}  // namespace ublk
