// One page, compressed or not. Belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "layout.h"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace ublk {

class Codec {
 public:
  Codec();
  ~Codec();
  Codec(const Codec&) = delete;
  Codec& operator=(const Codec&) = delete;

  // `level` is ZSTD's. Returns 0, -EINVAL (no such codec or level) or -ENOMEM.
  int open(uint32_t codec, int level);
  bool isNone() const { return codec_ == CODEC_NONE; }

  // A page into `target` (COMPRESSED_BYTES_MAX). Returns its bytes there; 0: it is to be stored as it is, because it does
  // not shrink enough, or because pages before it did not, it looks no better, and is not tried.
  size_t compress(const uint8_t* page, uint8_t* target);
  // Back into a page. False: these bytes are not what compress() made.
  bool decompress(const uint8_t* source, size_t length, uint8_t* page) const;

  // compress() that always tries.
  size_t attempt(const uint8_t* page, uint8_t* target);

 private:
  uint32_t codec_ = CODEC_NONE;
  std::unique_ptr<uint8_t[]> lz4State_;
  ZSTD_CCtx_s* zstdIn_ = nullptr;
  ZSTD_DCtx_s* zstdOut_ = nullptr;
  // Of the pages that did not shrink last: how many, how uneven the last one is, how many more like it to pass over.
  uint32_t failures_ = 0;
  uint32_t failedUneven_ = 0;
  uint32_t toSkip_ = 0;
};

}  // namespace ublk
