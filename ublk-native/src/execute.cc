#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "fill-scan.h"
#include "transfer.h"

namespace ublk {
// A part of a request that stays in the second-level cache between the copy in, the scan, and the copy on.
static constexpr size_t BOUNCE_BYTES = 256 * 1024;

int Transfer::open(int charFd, std::shared_ptr<Media> media, size_t maxIoBytes) {
  charFd_ = charFd;
  media_ = std::move(media);
  segments_ = std::make_unique<iovec[]>(SEGMENTS);
  const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
  int bad = bounce_.map(-1, std::min(BOUNCE_BYTES, maxIoBytes), PROT_READ | PROT_WRITE, anonymous);
  // A page from the tier may lie across two; a run begins on a page.
  const size_t fillBytes = 2 * maxIoBytes + 4 * PAGE_BYTES;
  if (bad == 0) bad = fills_.map(-1, fillBytes, PROT_READ | PROT_WRITE, anonymous);
  // Pages of our own, not the kernel's one zero page: get_user_pages_fast() refuses that, each time.
  const int populated = anonymous | MAP_POPULATE;
  if (bad == 0) bad = zeros_.map(-1, maxIoBytes, PROT_READ | PROT_WRITE, populated);
  return bad;
}

int32_t Transfer::intoMedia(uint64_t position, uint64_t mediaOffset, uint32_t bytes) {
  if (const int full = media_->prepare(mediaOffset, bytes); full != 0) return full;
  uint32_t done = 0;
  while (done < bytes) {
    // All parts but the first begin on a page, so that only the request's own ends can be parts of a page.
    const size_t within = (mediaOffset + done) & PAGE_MASK;
    const size_t part = std::min<size_t>(bytes - done, bounce_.length - within);
    const uint64_t offset = mediaOffset + done;
    uint8_t* const at = media_->claim(offset, part, filled_);
    int failed = readAll(charFd_, at != nullptr ? at : bounce_.bytes, part, position + done);
    if (at == nullptr && failed == 0) {
      failed = media_->store(offset, bounce_.bytes, part, &filled_);
    } else if (at != nullptr && failed == 0) {
      failed = media_->land(offset, part, at, &filled_);
    } else if (at != nullptr) {
      media_->unclaim(offset, part, at);
      failed = asFull(failed);
    }
    if (failed != 0) return failed;
    done += static_cast<uint32_t>(part);
  }
  return static_cast<int32_t>(bytes);
}

int Transfer::send() {
  iovec* next = segments_.get();
  size_t left = segmentCount_;
  segmentCount_ = 0;
  while (left > 0) {
    const auto at = static_cast<off_t>(position_);
    const ssize_t put = left == 1 ? pwrite(charFd_, next->iov_base, next->iov_len, at)
                                  : pwritev(charFd_, next, static_cast<int>(left), at);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return put < 0 ? -errno : -EIO;
    position_ += static_cast<uint64_t>(put);
    size_t sent = static_cast<size_t>(put);
    while (left > 0 && sent >= next->iov_len) {
      sent -= next->iov_len;
      next++;
      left--;
    }
    if (left == 0) break;
    next->iov_base = static_cast<uint8_t*>(next->iov_base) + sent;
    next->iov_len -= sent;
  }
  return 0;
}

int Transfer::addSegment(const uint8_t* bytes, size_t length) {
  if (segmentCount_ > 0) {
    iovec& last = segments_[segmentCount_ - 1];
    if (static_cast<const uint8_t*>(last.iov_base) + last.iov_len == bytes) {
      last.iov_len += length;
      return 0;
    }
  }
  if (segmentCount_ == SEGMENTS)
    if (const int failed = send(); failed != 0) return failed;
  // writev's segments are not const, though it only reads them.
  segments_[segmentCount_++] = {const_cast<uint8_t*>(bytes), length};
  return 0;
}

int Transfer::addZeros(size_t length) {
  if (segmentCount_ > 0) {
    iovec& last = segments_[segmentCount_ - 1];
    if (last.iov_base == zeros_.bytes && last.iov_len + length <= zeros_.length) {
      last.iov_len += length;
      return 0;
    }
  }
  return addSegment(zeros_.bytes, length);
}

// `word` is already turned so that it begins where the segment does.
int Transfer::addFill(uint64_t word, size_t length) {
  if (word == 0) return addZeros(length);
  uint8_t* at = fills_.bytes + fillsUsed_;
  // fills_[0..keptBytes_) is keptWord_, repeated: from this request or the one before.
  const bool inStep = fillsUsed_ % sizeof word == 0 && word == keptWord_;
  if (!inStep || fillsUsed_ + length > keptBytes_) {
    bestVariant().fill(at, length, word);
    if (fillsUsed_ == 0 || (inStep && keptBytes_ >= fillsUsed_)) {
      keptWord_ = word;
      keptBytes_ = fillsUsed_ + length;
    } else {
      keptBytes_ = std::min(keptBytes_, fillsUsed_);
    }
  }
  fillsUsed_ += length;
  return addSegment(at, length);
}

int Transfer::addExpanded(uint64_t page, size_t within, size_t length) {
  uint8_t* at = fills_.bytes + fillsUsed_;
  if (const int bad = media_->expand(page, at); bad != 0) return bad;
  keptBytes_ = std::min(keptBytes_, fillsUsed_);
  fillsUsed_ += PAGE_BYTES;
  return addSegment(at + within, length);
}

// Pages that lie one behind the other in the tier come in one piece: `part` grows to their bytes, at most `left`.
int Transfer::addTiered(uint64_t page, size_t within, uint32_t left, uint32_t* part) {
  uint64_t count = 1;
  for (; *part < left && media_->followsInTier(page + count); count++)
    *part += std::min<uint32_t>(PAGE_BYTES, left - *part);
  fillsUsed_ = roundUp(fillsUsed_, PAGE_BYTES);
  keptBytes_ = std::min(keptBytes_, fillsUsed_);
  uint8_t* at = fills_.bytes + fillsUsed_;
  const int begin = media_->fetch(page, count << PAGE_SHIFT, at);
  if (begin < 0) return begin;
  fillsUsed_ += (count + 1) << PAGE_SHIFT;
  return addSegment(at + begin + within, *part);
}

int32_t Transfer::outOfMedia(uint64_t position, uint64_t mediaOffset, uint32_t bytes,
                             uint32_t requestBytes) {
  if (const int full = media_->prepare(mediaOffset, bytes); full != 0) return full;
  position_ = position;
  segmentCount_ = 0;
  fillsUsed_ = 0;
  int failed = 0;
  for (uint32_t done = 0; done < bytes && failed == 0;) {
    const uint64_t offset = mediaOffset + done;
    const uint64_t page = offset >> PAGE_SHIFT;
    const size_t within = offset & PAGE_MASK;
    auto part = static_cast<uint32_t>(std::min<size_t>(PAGE_BYTES - within, bytes - done));
    const uint8_t kind = media_->kind(page);
    if (kind == PAGE_RAW)
      failed = addSegment(media_->raw(page) + within, part);
    else if (kind == (PAGE_RAW | PAGE_TIERED))
      failed = addTiered(page, within, bytes - done, &part);
    else if ((kind & PAGE_RAW) != 0)
      failed = addExpanded(page, within, part);
    else if (kind == PAGE_FILL)
      failed = addFill(std::rotr(media_->word(page), static_cast<int>(within % 8 * 8)), part);
    else
      failed = addZeros(part);
    done += part;
  }
  if (failed == 0 && requestBytes > bytes) failed = addZeros(requestBytes - bytes);
  if (failed == 0) failed = send();
  return failed == 0 ? static_cast<int32_t>(requestBytes) : asFull(failed);
}

}  // namespace ublk
