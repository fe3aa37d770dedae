// Is a buffer one 64-bit word, repeated? And the reverse: make it so. Variants are chosen by the processor, at run time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ublk {

// True when every 8 bytes from the start equal the first 8, and a tail shorter than that equals the word's first bytes.
using ScanFunction = bool (*)(const uint8_t* bytes, size_t length);
// Repeats a word; a tail takes its first bytes.
using FillFunction = void (*)(uint8_t* bytes, size_t length, uint64_t word);

struct ScanVariant {
  const char* name;
  ScanFunction scan;
  FillFunction fill;
};

// What this processor can run, best last. Returns how many; `variants` may be null.
size_t scanVariants(const ScanVariant** variants);
// By name ('best' too), or null.
const ScanVariant* findVariant(const char* name);
// The best, looked up once a process.
const ScanVariant& bestVariant();

}  // namespace ublk
