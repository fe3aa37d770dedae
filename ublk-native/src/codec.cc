#include "codec.h"

#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>

namespace ublk {
namespace {

// After so many pages in a row that did not shrink, of those that look no more regular than the last of them only one in so
// many is tried (up to a limit), until one shrinks. A page that looks more regular is always tried.
constexpr uint32_t PATIENCE = 4;
constexpr uint32_t SKIP_MAX = 16;
constexpr size_t SAMPLE = 128;
constexpr size_t SAMPLE_STEP = 31;
static_assert(SAMPLE * SAMPLE_STEP <= PAGE_BYTES);

// How uneven the bytes of a sample are: the sum of the squares of how often each value comes. Random bytes have
// SAMPLE + SAMPLE² / 256 (192, and 240 once in ten thousand pages), text about 1000, one repeated byte SAMPLE².
uint32_t unevenness(const uint8_t* page) {
  uint8_t counts[256] = {};
  uint32_t sum = 0;
  for (size_t i = 0; i < SAMPLE; i++) sum += 2U * counts[page[i * SAMPLE_STEP]]++ + 1;
  return sum;
}

}  // namespace

Codec::Codec() = default;

Codec::~Codec() {
  ZSTD_freeCCtx(zstdIn_);
  ZSTD_freeDCtx(zstdOut_);
}

int Codec::open(uint32_t codec, int level) {
  codec_ = codec;
  switch (codec) {
    case CODEC_NONE:
      return 0;
    case CODEC_LZ4:
      lz4State_ = std::make_unique<uint8_t[]>(static_cast<size_t>(LZ4_sizeofState()));
      return 0;
    case CODEC_ZSTD:
      if (level < 1 || level > ZSTD_maxCLevel()) return -EINVAL;
      zstdIn_ = ZSTD_createCCtx();
      zstdOut_ = ZSTD_createDCtx();
      if (zstdIn_ == nullptr || zstdOut_ == nullptr) return -ENOMEM;
      ZSTD_CCtx_setParameter(zstdIn_, ZSTD_c_compressionLevel, level);
      // The length of a page is known: two bytes less a page.
      ZSTD_CCtx_setParameter(zstdIn_, ZSTD_c_contentSizeFlag, 0);
      return 0;
    default:
      return -EINVAL;
  }
}

size_t Codec::attempt(const uint8_t* page, uint8_t* target) {
  if (codec_ == CODEC_LZ4) {
    // The state is reset by the call; a page is small, so its table stays in the first-level cache.
    const int made = LZ4_compress_fast_extState(
        lz4State_.get(), reinterpret_cast<const char*>(page), reinterpret_cast<char*>(target),
        PAGE_BYTES, COMPRESSED_BYTES_MAX, 1);
    return made > 0 ? static_cast<size_t>(made) : 0;
  }
  const size_t made = ZSTD_compress2(zstdIn_, target, COMPRESSED_BYTES_MAX, page, PAGE_BYTES);
  return ZSTD_isError(made) ? 0 : made;
}

size_t Codec::compress(const uint8_t* page, uint8_t* target) {
  if (isNone()) return 0;
  const uint32_t uneven = failures_ > 0 ? unevenness(page) : 0;
  const bool isAlike = uneven <= failedUneven_ + failedUneven_ / 4;
  if (isAlike && toSkip_ > 0) {
    toSkip_--;
    return 0;
  }
  const size_t made = attempt(page, target);
  if (made > 0) {
    if (isAlike) failures_ = 0;
    return made;
  }
  failedUneven_ = failures_ > 0 ? uneven : unevenness(page);
  failures_ = isAlike ? failures_ + 1 : std::min(failures_ + 1, PATIENCE);
  if (failures_ >= PATIENCE) toSkip_ = std::min(SKIP_MAX, 1U << std::min(failures_ - PATIENCE, 8U));
  return 0;
}

bool Codec::decompress(const uint8_t* source, size_t length, uint8_t* page) const {
  if (codec_ == CODEC_LZ4)
    return LZ4_decompress_safe(reinterpret_cast<const char*>(source),
                               reinterpret_cast<char*>(page), static_cast<int>(length),
                               PAGE_BYTES) == PAGE_BYTES;
  if (codec_ == CODEC_ZSTD)
    return ZSTD_decompressDCtx(zstdOut_, page, PAGE_BYTES, source, length) == PAGE_BYTES;
  return false;
}

}  // namespace ublk
