#include "fill-scan.h"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ublk {
namespace {

uint64_t loadWord(const uint8_t* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

// The last word against the first: pages that differ at all mostly differ there (zram compares the same two first).
bool endsDiffer(const uint8_t* bytes, size_t length) {
  return loadWord(bytes) != loadWord(bytes + (length & ~size_t{7}) - 8);
}

bool scanRest(const uint8_t* bytes, size_t at, size_t length) {
  const uint64_t word = loadWord(bytes);
  for (; at + 8 <= length; at += 8)
    if (loadWord(bytes + at) != word) return false;
  return std::memcmp(bytes + at, &word, length - at) == 0;
}

bool scanScalar(const uint8_t* bytes, size_t length) {
  if (length <= 8) return true;
  if (endsDiffer(bytes, length)) return false;
  const uint64_t word = loadWord(bytes);
  size_t at = 0;
  for (; at + 64 <= length; at += 64) {
    uint64_t difference = 0;
    for (size_t i = 0; i < 64; i += 16) {
      difference |= loadWord(bytes + at + i) ^ word;
      difference |= loadWord(bytes + at + i + 8) ^ word;
    }
    if (difference != 0) return false;
  }
  return scanRest(bytes, at, length);
}

void fillRest(uint8_t* bytes, size_t at, size_t length, uint64_t word) {
  for (; at + 8 <= length; at += 8) std::memcpy(bytes + at, &word, 8);
  std::memcpy(bytes + at, &word, length - at);
}

void fillScalar(uint8_t* bytes, size_t length, uint64_t word) { fillRest(bytes, 0, length, word); }

#if defined(__x86_64__)

__attribute__((target("avx2"))) bool scanAvx2(const uint8_t* bytes, size_t length) {
  if (length <= 8) return true;
  if (endsDiffer(bytes, length)) return false;
  const __m256i word = _mm256_set1_epi64x(static_cast<int64_t>(loadWord(bytes)));
  const auto differenceAt = [&](size_t at) __attribute__((target("avx2"), always_inline)) {
    return _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes + at)), word);
  };
  size_t at = 0;
  for (; at + 128 <= length; at += 128) {
    const __m256i low = _mm256_or_si256(differenceAt(at), differenceAt(at + 32));
    const __m256i high = _mm256_or_si256(differenceAt(at + 64), differenceAt(at + 96));
    const __m256i any = _mm256_or_si256(low, high);
    if (_mm256_testz_si256(any, any) == 0) return false;
  }
  return scanRest(bytes, at, length);
}

__attribute__((target("avx2"))) void fillAvx2(uint8_t* bytes, size_t length, uint64_t word) {
  const __m256i wide = _mm256_set1_epi64x(static_cast<int64_t>(word));
  size_t at = 0;
  for (; at + 128 <= length; at += 128) {
    auto* to = reinterpret_cast<__m256i*>(bytes + at);
    _mm256_storeu_si256(to, wide);
    _mm256_storeu_si256(to + 1, wide);
    _mm256_storeu_si256(to + 2, wide);
    _mm256_storeu_si256(to + 3, wide);
  }
  fillRest(bytes, at, length, word);
}

__attribute__((target("avx512f"))) bool scanAvx512(const uint8_t* bytes, size_t length) {
  if (length <= 8) return true;
  if (endsDiffer(bytes, length)) return false;
  const __m512i word = _mm512_set1_epi64(static_cast<int64_t>(loadWord(bytes)));
  const auto differenceAt = [&](size_t at) __attribute__((target("avx512f"), always_inline)) {
    return _mm512_xor_si512(_mm512_loadu_si512(bytes + at), word);
  };
  size_t at = 0;
  for (; at + 256 <= length; at += 256) {
    const __m512i low = _mm512_or_si512(differenceAt(at), differenceAt(at + 64));
    const __m512i high = _mm512_or_si512(differenceAt(at + 128), differenceAt(at + 192));
    const __m512i any = _mm512_or_si512(low, high);
    if (_mm512_test_epi64_mask(any, any) != 0) return false;
  }
  return scanRest(bytes, at, length);
}

__attribute__((target("avx512f"))) void fillAvx512(uint8_t* bytes, size_t length, uint64_t word) {
  const __m512i wide = _mm512_set1_epi64(static_cast<int64_t>(word));
  size_t at = 0;
  for (; at + 256 <= length; at += 256) {
    _mm512_storeu_si512(bytes + at, wide);
    _mm512_storeu_si512(bytes + at + 64, wide);
    _mm512_storeu_si512(bytes + at + 128, wide);
    _mm512_storeu_si512(bytes + at + 192, wide);
  }
  fillRest(bytes, at, length, word);
}

#endif

struct Variants {
  ScanVariant list[3];
  size_t count = 0;

  Variants() : list() {
    list[count++] = {"scalar", scanScalar, fillScalar};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) list[count++] = {"avx2", scanAvx2, fillAvx2};
    if (__builtin_cpu_supports("avx512f")) list[count++] = {"avx512", scanAvx512, fillAvx512};
#endif
  }
};

const Variants& variantsOfThisProcessor() {
  static const Variants variants;
  return variants;
}

}  // namespace

size_t scanVariants(const ScanVariant** variants) {
  const Variants& all = variantsOfThisProcessor();
  if (variants != nullptr) *variants = all.list;
  return all.count;
}

const ScanVariant& bestVariant() {
  const Variants& all = variantsOfThisProcessor();
  return all.list[all.count - 1];
}

const ScanVariant* findVariant(const char* name) {
  if (std::strcmp(name, "best") == 0) return &bestVariant();
  const Variants& all = variantsOfThisProcessor();
  for (size_t i = 0; i < all.count; i++)
    if (std::strcmp(all.list[i].name, name) == 0) return &all.list[i];
  return nullptr;
}

}  // namespace ublk
