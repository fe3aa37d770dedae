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

// A file system without holes keeps the memory; the kinds say what the pages hold.
int punch(int fd, uint64_t offset, uint64_t length) {
  if (length == 0) return 0;
  const int result = allocate(fd, offset, length, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
  return result == -EOPNOTSUPP ? 0 : result;
}

Media::Tally::~Tally() {
  const auto add = [](int64_t* to, int64_t by) {
    if (by != 0) __atomic_fetch_add(to, by, __ATOMIC_RELAXED);
  };
  add(&region_->rawPages, raw_);
  add(&region_->fillPages, fill_);
  add(&region_->compressedPages, compressed_);
  add(&region_->compressedBytes, compressedBytes_);
  add(&region_->tieredPages, tiered_);
  add(&region_->tieredBytes, tieredBytes_);
  if (inPlace_) add(&header_->usedBytes, raw_ * PAGE_BYTES);
}

void Media::Tally::count(uint8_t kind, uint64_t word, int64_t by) {
  if (kind == PAGE_RAW) raw_ += by;
  if (kind == PAGE_FILL) fill_ += by;
  if ((kind & PAGE_TIERED) != 0) {
    tiered_ += by;
    tieredBytes_ += by * static_cast<int64_t>(lengthOf(word));
  }
  if (kind != PAGE_COMPRESSED) return;
  compressed_ += by;
  compressedBytes_ += by * static_cast<int64_t>(lengthOf(word));
}

int Media::prepare(uint64_t offset, uint64_t length) {
  if (length == 0) return 0;
  const uint64_t first = (kindsAt_ + pageOf(offset)) / PAGE_BYTES;
  const uint64_t last = (kindsAt_ + pageOf(offset + length - 1)) / PAGE_BYTES;
  for (uint64_t part = first; part <= last; part++) {
    if (kindsReady_[part]) continue;
    if (const int full = allocateMap(part * PAGE_BYTES); full != 0) return full;
    kindsReady_[part] = true;
  }
  return 0;
}

int Media::prepareWords(uint64_t page) {
  // Words begin anywhere in a page of the file, so that a word's part of the file is found from the file's beginning.
  const uint64_t part = (wordsAt_ + page * sizeof(uint64_t)) / PAGE_BYTES;
  if (wordsReady_[part]) return 0;
  const int full = allocateMap(part * PAGE_BYTES);
  wordsReady_[part] = full == 0;
  return full;
}

// On a disk a store through a mapping can fail (full, or broken), and that would be SIGBUS.
int Media::put(uint64_t position, const uint8_t* bytes, size_t length) {
  if (durable_) return asFull(writeAll(dataFd_, bytes, length, position));
  std::memcpy(data_.bytes + position, bytes, length);
  return 0;
}

// A part of the page map has changed. Who takes the bit away reads the part then: the change has to be seen before it is set.
void Media::mark(const void* at) {
  if (!durable_) return;
  const auto part = static_cast<uint64_t>(static_cast<const uint8_t*>(at) - map_.bytes) / PAGE_BYTES;
  uint32_t* const word = reinterpret_cast<uint32_t*>(dirty_.bytes) + part / 32;
  const uint32_t bit = uint32_t{1} << part % 32;
  if ((__atomic_load_n(word, __ATOMIC_SEQ_CST) & bit) == 0)
    __atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST);
}

void Media::setWord(uint64_t page, uint64_t word) {
  __atomic_store_n(&words_[page], word, durable_ ? __ATOMIC_SEQ_CST : __ATOMIC_RELAXED);
  mark(&words_[page]);
}

void Media::setKind(uint64_t page, uint8_t kind, Tally& tally) {
  const uint8_t old = __atomic_exchange_n(&kinds_[page], kind, __ATOMIC_SEQ_CST);
  if (old == kind) return;
  mark(&kinds_[page]);
  if (old != PAGE_HOLE) tally.count(old, word(page), -1);
  if (kind != PAGE_HOLE) tally.count(kind, word(page), 1);
}

// A page of a region loses what it has, before its word changes.
void Media::vacate(uint64_t page, Tally& tally) {
  if (kind(page) == PAGE_HOLE || isInPlace(page << PAGE_SHIFT)) return;
  const auto settled = disturb(regionOf(page << PAGE_SHIFT));
  setKind(page, PAGE_HOLE, tally);
}

// `source` is a page of one word; the page has no memory of its own.
int Media::setFill(uint64_t page, const uint8_t* source, Tally& tally) {
  if (const int full = prepareWords(page); full != 0) return full;
  uint64_t fill;
  std::memcpy(&fill, source, sizeof fill);
  // A word is never changed under the kind that it belongs to, but from one fill to another.
  if (kind(page) != PAGE_FILL) vacate(page, tally);
  setWord(page, fill);
  setKind(page, PAGE_FILL, tally);
  return 0;
}

// Into an ordered region: `bytes` are pages, or what compression made of one.
int Media::place(uint64_t page, const uint8_t* bytes, size_t length, Tally& tally) {
  if (length == 0) return 0;
  const size_t each = std::min<size_t>(length, PAGE_BYTES);
  const uint64_t end = page + length / each;
  for (uint64_t next = page; next < end; next++)
    if (const int full = prepareWords(next); full != 0) return full;
  uint64_t position;
  const uint64_t index = regionOf(page << PAGE_SHIFT);
  if (const int full = reserve(index, length, &position); full != 0) return full;
  if (const int full = put(position, bytes, length); full != 0) return full;
  for (; page < end; page++, position += each) {
    vacate(page, tally);
    setWord(page, position | uint64_t{each} << LENGTH_SHIFT);
    setKind(page, each == PAGE_BYTES ? PAGE_RAW : PAGE_COMPRESSED, tally);
  }
  return 0;
}

// Whole pages and pages that have memory, in place.
int Media::storeRun(uint64_t offset, const uint8_t* source, size_t length, Tally& tally) {
  if (length == 0) return 0;
  const uint64_t end = pageOf(offset + length);
  uint64_t fresh = 0;
  for (uint64_t page = pageOf(offset); page < end; page++) fresh += kind(page) != PAGE_RAW;
  if (fresh > 0 && !hasRoom(fresh << PAGE_SHIFT)) return -ENOSPC;
  int failed = asFull(writeAll(dataFd_, source, length, offset));
  if (failed == -ENOSPC && giveBackSpare())
    failed = asFull(writeAll(dataFd_, source, length, offset));
  if (failed != 0) return failed;
  for (uint64_t page = pageOf(offset); page < end; page++) setKind(page, PAGE_RAW, tally);
  return 0;
}

// A part of one page: what the rest of the page is, is made first.
int Media::storePart(uint64_t offset, const uint8_t* source, size_t length, Tally& tally) {
  const uint64_t page = pageOf(offset);
  const size_t within = offset & PAGE_MASK;
  const bool inPlace = isInPlace(offset);
  const std::lock_guard<std::mutex> turn(partLocks[page % std::size(partLocks)]);
  const uint8_t was = kind(page);
  if (was == PAGE_RAW) {
    if (inPlace) return asFull(writeAll(dataFd_, source, length, offset));
    const auto settled = disturb(regionOf(offset));
    if (kind(page) == PAGE_RAW) return put(positionOf(page) + within, source, length);
  }
  // Zeros in a hole are a hole, until the page has something else. (A fill would have to become raw under readers' eyes.)
  if (!inPlace && was == PAGE_HOLE && std::memcmp(source, ZERO_PAGE, length) == 0) return 0;
  alignas(64) uint8_t whole[PAGE_BYTES];
  if (const int bad = loadPart(page << PAGE_SHIFT, whole, PAGE_BYTES); bad != 0) return bad;
  std::memcpy(whole + within, source, length);
  if (!inPlace) return place(page, whole, PAGE_BYTES, tally);
  if (!options_.sameFill || !bestVariant().scan(whole, PAGE_BYTES))
    return storeRun(page << PAGE_SHIFT, whole, PAGE_BYTES, tally);
  return setFill(page, whole, tally);
}

// Within a region, or in place. Whole pages that are no fill and do not shrink wait for each other: on a disk each store is a
// system call. A page in place that has memory keeps it, whatever is written: taking it away would show zeros to its readers.
int Media::storeWithin(uint64_t offset, const uint8_t* source, size_t length, bool* filled) {
  Tally tally(*this, offset);
  const ScanVariant& best = bestVariant();
  const bool inPlace = isInPlace(offset);
  alignas(64) uint8_t smaller[COMPRESSED_BYTES_MAX];
  size_t rawFrom = 0;  // source[rawFrom..at) are whole pages that wait to be stored raw
  for (size_t at = 0;;) {
    const size_t part = std::min<size_t>(PAGE_BYTES - ((offset + at) & PAGE_MASK), length - at);
    const bool whole = part == PAGE_BYTES;
    const uint64_t page = pageOf(offset + at);
    const bool mayFill = whole && options_.sameFill && !(inPlace && kind(page) == PAGE_RAW);
    *filled = mayFill && best.scan(source + at, part);
    const bool mayShrink = whole && !*filled && !inPlace;
    const size_t made = mayShrink ? codec_.compress(source + at, smaller) : 0;
    if (whole && !*filled && made == 0) {
      at += part;
      if (at < length) continue;
    }
    const uint64_t run = offset + rawFrom;
    int failed = inPlace ? storeRun(run, source + rawFrom, at - rawFrom, tally)
                         : place(pageOf(run), source + rawFrom, at - rawFrom, tally);
    if (failed != 0 || at == length) return failed;
    failed = *filled    ? setFill(page, source + at, tally)
             : made > 0 ? place(page, smaller, made, tally)
                        : storePart(offset + at, source + at, part, tally);
    at += part;
    rawFrom = at;
    if (failed != 0 || at == length) return failed;
  }
}

int Media::store(uint64_t offset, const uint8_t* source, size_t length, bool* filled) {
  if (const int full = prepare(offset, length); full != 0) return full;
  while (length > 0) {
    const size_t part = std::min<size_t>(length, regionEnd(offset) - offset);
    if (const int failed = storeWithin(offset, source, part, filled); failed != 0) return failed;
    offset += part;
    source += part;
    length -= part;
  }
  return 0;
}

uint8_t* Media::claim(uint64_t offset, size_t length, bool expectFill) {
  if (durable_ || ((offset | length) & PAGE_MASK) != 0 || offset + length > regionEnd(offset))
    return nullptr;
  const bool inPlace = isInPlace(offset);
  if (!inPlace && (expectFill || !codec_.isNone())) return nullptr;
  const uint64_t end = pageOf(offset + length);
  for (uint64_t page = pageOf(offset); page < end; page++)
    if (inPlace ? kind(page) != PAGE_RAW : (kind(page) & PAGE_RAW) != 0) return nullptr;
  if (inPlace) return data_.bytes + offset;
  uint64_t position;
  return reserve(regionOf(offset), length, &position) == 0 ? data_.bytes + position : nullptr;
}

void Media::unclaim(uint64_t offset, size_t length, const uint8_t* bytes) {
  if (isInPlace(offset)) return;
  giveBack(regionOf(offset), static_cast<uint64_t>(bytes - data_.bytes), 0, length);
}

int Media::land(uint64_t offset, size_t length, const uint8_t* bytes, bool* filled) {
  *filled = false;
  if (isInPlace(offset)) return 0;
  Tally tally(*this, offset);
  const ScanVariant& best = bestVariant();
  const auto position = static_cast<uint64_t>(bytes - data_.bytes);
  uint64_t used = 0;
  for (uint64_t at = 0; at < length; at += PAGE_BYTES) {
    const uint64_t page = pageOf(offset + at);
    if (const int full = prepareWords(page); full != 0) return full;
    *filled = options_.sameFill && best.scan(bytes + at, PAGE_BYTES);
    if (*filled) {
      setFill(page, bytes + at, tally);
      continue;
    }
    // Fills before it took no memory: it moves up.
    if (used < at) std::memcpy(data_.bytes + position + used, bytes + at, PAGE_BYTES);
    setWord(page, (position + used) | uint64_t{PAGE_BYTES} << LENGTH_SHIFT);
    setKind(page, PAGE_RAW, tally);
    used += PAGE_BYTES;
  }
  if (used < length) giveBack(regionOf(offset), position, used, length);
  return 0;
}

int Media::expand(uint64_t page, uint8_t* target) const {
  const uint64_t where = word(page);
  const uint64_t position = where & POSITION_MASK;
  const uint64_t length = lengthOf(where);
  if (length > COMPRESSED_BYTES_MAX || position + length > dataBytes_) return -EIO;
  const uint8_t* bytes = data_.bytes + position;
  alignas(PAGE_BYTES) uint8_t blocks[2 * PAGE_BYTES];
  if ((kind(page) & PAGE_TIERED) != 0) {
    const int begin = fetch(page, length, blocks);
    if (begin < 0) return begin;
    bytes = blocks + begin;
  } else if (durable_) {
    if (readAll(dataFd_, blocks, length, position) != 0) return -EIO;
    bytes = blocks;
  }
  return codec_.decompress(bytes, length, target) ? 0 : -EIO;
}

int Media::loadPart(uint64_t offset, uint8_t* target, size_t length) const {
  const uint64_t page = pageOf(offset);
  const size_t within = offset & PAGE_MASK;
  const uint8_t is = kind(page);
  // A discard may take the memory of a page in place away just now: the kernel notices, a copy of ours would be SIGBUS.
  if (is == PAGE_RAW && (durable_ || isInPlace(offset)))
    return readAll(dataFd_, target, length, positionOf(page) + within);
  if (is == PAGE_RAW) {
    std::memcpy(target, raw(page) + within, length);
    return 0;
  }
  if ((is & PAGE_RAW) != 0) {
    alignas(PAGE_BYTES) uint8_t whole[2 * PAGE_BYTES];
    const bool isRaw = is == (PAGE_RAW | PAGE_TIERED);
    const int begin = isRaw ? fetch(page, PAGE_BYTES, whole) : expand(page, whole);
    if (begin < 0) return begin;
    std::memcpy(target, whole + begin + within, length);
    return 0;
  }
  const uint64_t fill = is == PAGE_FILL ? word(page) : 0;
  bestVariant().fill(target, length, std::rotr(fill, static_cast<int>(within % 8 * 8)));
  return 0;
}

int Media::load(uint64_t offset, uint8_t* target, size_t length) {
  if (const int full = prepare(offset, length); full != 0) return full;
  for (size_t at = 0; at < length;) {
    const size_t part = std::min<size_t>(PAGE_BYTES - ((offset + at) & PAGE_MASK), length - at);
    if (const int failed = loadPart(offset + at, target + at, part); failed != 0) return failed;
    at += part;
  }
  return 0;
}

int Media::flush() {
  return durable_ && fdatasync(dataFd_) != 0 ? -errno : 0;
}

Region Media::region(uint64_t index) const {
  Region copy{};
  const auto* from = reinterpret_cast<const uint64_t*>(regions_ + index);
  auto* to = reinterpret_cast<uint64_t*>(&copy);
  for (size_t i = 0; i < sizeof copy / sizeof *to; i++) to[i] = load64(from + i);
  return copy;
}

}  // namespace ublk
