// Moves the payload of requests between the kernel (user copy on the char device) and the media.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "media.h"
#include "shared-memory.h"

namespace ublk {

class Transfer {
 public:
  // Returns 0 or -errno.
  int open(int charFd, std::shared_ptr<Media> media, size_t maxIoBytes);

  // Payload of a write request at `position` of the char device -> media. Returns `bytes` or -errno.
  int32_t intoMedia(uint64_t position, uint64_t mediaOffset, uint32_t bytes);
  // Media -> the buffer of a read request, whose last (requestBytes - bytes) become zeros. Returns requestBytes or -errno.
  int32_t outOfMedia(uint64_t position, uint64_t mediaOffset, uint32_t bytes, uint32_t requestBytes);

  Media& media() { return *media_; }

 private:
  int addSegment(const uint8_t* bytes, size_t length);
  int addZeros(size_t length);
  int addFill(uint64_t word, size_t length);
  int addExpanded(uint64_t page, size_t within, size_t length);
  int addTiered(uint64_t page, size_t within, uint32_t left, uint32_t* part);
  int send();

  int charFd_ = -1;
  std::shared_ptr<Media> media_;
  // Whether the last page written was same-fill: then the next is likely one, and goes through the bounce buffer, where it
  // is scanned hot and takes no place. If not, and nothing is to be compressed, the kernel copies straight into the media.
  bool filled_ = true;
  Mapping bounce_;
  Mapping zeros_;  // never written
  // Same-fill and compressed pages, expanded, and pages from the tier. Its first bytes keep the last word between requests.
  Mapping fills_;
  size_t fillsUsed_ = 0;
  uint64_t keptWord_ = 0;
  size_t keptBytes_ = 0;
  static constexpr size_t SEGMENTS = 1024;  // IOV_MAX
  std::unique_ptr<iovec[]> segments_;
  size_t segmentCount_ = 0;
  uint64_t position_ = 0;
};

}  // namespace ublk
