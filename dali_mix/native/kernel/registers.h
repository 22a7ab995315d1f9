// The registers of a tile: 16-byte loads and stores at any alignment, and what is done to bytes
// between them. The only place that names device intrinsics for integers; the host has equivalents.
//
// Arrays of a thread stay in registers only if every index is known when the loop is unrolled.
#ifndef DALI_MIX_NATIVE_KERNEL_REGISTERS_H_
#define DALI_MIX_NATIVE_KERNEL_REGISTERS_H_

#include <cstddef>

#include "core/sample.h"

#if defined(__CUDA_ARCH__)
#define MIX_UNROLL _Pragma("unroll")
#define MIX_ROLLED _Pragma("unroll 1")
#else
#define MIX_UNROLL
#define MIX_ROLLED
#endif

namespace dali_mix {

// Any four of the eight bytes of (high, low): nibble i of the selector names byte i of the result.
MIX_HD uint32_t BytePerm(uint32_t low, uint32_t high, uint32_t selector) {
#if defined(__CUDA_ARCH__)
  return __byte_perm(low, high, selector);
#else
  const uint64_t bytes = static_cast<uint64_t>(high) << 32 | low;
  uint32_t result = 0;
  for (int i = 0; i < 4; i++) {
    const int from = selector >> (4 * i) & 7;
    result |= static_cast<uint32_t>(bytes >> (8 * from) & 0xff) << (8 * i);
  }
  return result;
#endif
}

// The low word of (high, low) >> bits, bits below 32.
MIX_HD uint32_t FunnelRight(uint32_t low, uint32_t high, int bits) {
#if defined(__CUDA_ARCH__)
  return __funnelshift_r(low, high, bits);
#else
  return static_cast<uint32_t>((static_cast<uint64_t>(high) << 32 | low) >> bits);
#endif
}

MIX_HD uint32_t MulHigh(uint32_t a, uint32_t b) {
#if defined(__CUDA_ARCH__)
  return __umulhi(a, b);
#else
  return static_cast<uint32_t>(static_cast<uint64_t>(a) * b >> 32);
#endif
}

// Bits [begin, end) of `size`, at most 31, clipped.
MIX_HD uint32_t BitsBetween(int begin, int end, int size) {
  begin = begin < 0 ? 0 : (begin > size ? size : begin);
  end = end < begin ? begin : (end > size ? size : end);
  return (uint32_t{1} << end) - (uint32_t{1} << begin);
}

// A structure in device memory, 16 bytes at a time.
template <typename T>
MIX_HD T LoadWide(const T *at) {
#if defined(__CUDA_ARCH__)
  static_assert(sizeof(T) % 16 == 0 && alignof(T) == 16);
  uint4 words[sizeof(T) / 16];
  MIX_UNROLL
  for (size_t i = 0; i < sizeof(T) / 16; i++) {
    words[i] = __ldg(reinterpret_cast<const uint4 *>(at) + i);
  }
  T result;
  memcpy(&result, words, sizeof(T));
  return result;
#else
  return *at;
#endif
}

// Where the lowest bit is that is set, and where the highest one ends; at least one is.
MIX_HD Range SetBits(uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return {__ffs(static_cast<int>(bits)) - 1, 32 - __clz(static_cast<int>(bits))};
#else
  return {__builtin_ctz(bits), 32 - __builtin_clz(bits)};
#endif
}

// 16 bytes that begin a multiple of 16, of memory that the kernel does not write.
MIX_HD void LoadChunk(uint32_t *words, const uint8_t *at) {
#if defined(__CUDA_ARCH__)
  const uint4 chunk = __ldg(reinterpret_cast<const uint4 *>(at));
  words[0] = chunk.x;
  words[1] = chunk.y;
  words[2] = chunk.z;
  words[3] = chunk.w;
#else
  memcpy(words, at, 16);
#endif
}

// kBytes bytes of any alignment, loaded as the 16-byte chunks that cover them. To fetch and to
// align are two steps, so that the loads of several images are under way together.
template <int kBytes>
class Covering {
 public:
  // Only the bytes `needed` must belong to an image. A chunk that holds one of them may reach
  // beyond the image, since memory is there for whole chunks; others are zeros.
  MIX_HD void Fetch(const uint8_t *at, Range needed) {
    offset_ = static_cast<int>(reinterpret_cast<uintptr_t>(at) % 16);
    MIX_UNROLL
    for (int i = 0; i < kChunks; i++) {
      if (16 * i < offset_ + needed.end && offset_ + needed.begin < 16 * (i + 1)) {
        LoadChunk(raw_ + 4 * i, at - offset_ + 16 * i);
      }
    }
  }

  // Shifts by two words, one word, and the bytes below a word.
  MIX_HD void Align(uint32_t (&words)[kBytes / 4]) {
    constexpr int kWords = kBytes / 4;
    MIX_UNROLL
    for (int i = 0; i < kWords + 2; i++) {
      if (offset_ & 8) {
        raw_[i] = raw_[i + 2];
      }
    }
    MIX_UNROLL
    for (int i = 0; i < kWords + 1; i++) {
      if (offset_ & 4) {
        raw_[i] = raw_[i + 1];
      }
    }
    MIX_UNROLL
    for (int i = 0; i < kWords; i++) {
      words[i] = FunnelRight(raw_[i], raw_[i + 1], 8 * (offset_ % 4));
    }
  }

 private:
  static constexpr int kChunks = (kBytes + 15 + 15) / 16;

  uint32_t raw_[4 * kChunks] = {};
  int offset_ = 0;
};

// Turns pixels of kIn bytes around.
template <int kIn, int kWords>
MIX_HD void Mirror(uint32_t (&words)[kWords]) {
  constexpr int kLast = 4 * kWords / kIn - 1;
  const auto pair = [](const uint32_t (&from)[kWords], int byte) {
    const int a = (kLast - byte / kIn) * kIn + byte % kIn;
    const int b = (kLast - (byte + 1) / kIn) * kIn + (byte + 1) % kIn;
    return BytePerm(from[a / 4], from[b / 4], a % 4 | (4 + b % 4) << 4);
  };
  uint32_t turned[kWords];
  MIX_UNROLL
  for (int i = 0; i < kWords; i++) {
    turned[i] = BytePerm(pair(words, 4 * i), pair(words, 4 * i + 2), 0x5410);
  }
  MIX_UNROLL
  for (int i = 0; i < kWords; i++) {
    words[i] = turned[i];
  }
}

// Takes over the pixels of kIn bytes whose bits are set.
template <int kIn, int kWords>
MIX_HD void Replace(uint32_t (&words)[kWords], const uint32_t (&by)[kWords], uint32_t bits) {
  MIX_UNROLL
  for (int i = 0; i < kWords; i++) {
    uint32_t taken = 0;
    MIX_UNROLL
    for (int byte = 0; byte < 4; byte++) {
      taken |= (0 - (bits >> ((4 * i + byte) / kIn) & 1)) & uint32_t{0xff} << (8 * byte);
    }
    words[i] = (words[i] & ~taken) | (by[i] & taken);
  }
}

// A byte as a float, without the slow conversion: 2^23 + byte, minus 2^23. Exact.
template <int kWords>
MIX_HD float ByteAt(const uint32_t (&words)[kWords], int byte) {
  const uint32_t bits = BytePerm(words[byte / 4], 0x4b000000u, 0x7440u | byte % 4);
  return BitCast<float>(bits) - 8388608.0f;
}

// As many values as fill 16 bytes.
template <typename Out>
MIX_HD void Pack(uint32_t (&words)[4], const float (&values)[16 / sizeof(Out)]) {
  static_assert(sizeof(Out) == 1, "the other sizes are below");
  MIX_UNROLL
  for (int i = 0; i < 4; i++) {
    const uint32_t low = BytePerm(NarrowToByte<Out>(values[4 * i]),  //
                                  NarrowToByte<Out>(values[4 * i + 1]), 0x0040);
    const uint32_t high = BytePerm(NarrowToByte<Out>(values[4 * i + 2]),
                                   NarrowToByte<Out>(values[4 * i + 3]), 0x0040);
    words[i] = BytePerm(low, high, 0x5410);
  }
}
template <>
MIX_HD void Pack<float>(uint32_t (&words)[4], const float (&values)[4]) {
  MIX_UNROLL
  for (int i = 0; i < 4; i++) {
    words[i] = BitCast<uint32_t>(values[i]);
  }
}
template <>
MIX_HD void Pack<Half>(uint32_t (&words)[4], const float (&values)[8]) {
  MIX_UNROLL
  for (int i = 0; i < 4; i++) {
    words[i] = ToHalves(values[2 * i], values[2 * i + 1]);
  }
}

template <int kBytes>
MIX_HD bool IsAligned(const void *at) {
  return reinterpret_cast<uintptr_t>(at) % kBytes == 0;
}

// 16 bytes, in stores of kBytes, for which the address is aligned. As assembly, because the
// compiler merges stores of several widths into the narrowest, and does not know that outputs are
// global.
template <int kBytes>
MIX_HD void StoreWords(void *at, const uint32_t (&words)[4]) {
#if defined(__CUDA_ARCH__)
  const size_t global = __cvta_generic_to_global(at);
  if constexpr (kBytes == 16) {
    asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(global), "r"(words[0]),
                 "r"(words[1]), "r"(words[2]), "r"(words[3]));
  } else if constexpr (kBytes == 8) {
    asm volatile("st.global.v2.b32 [%0], {%1, %2};" ::"l"(global), "r"(words[0]), "r"(words[1]));
    asm volatile("st.global.v2.b32 [%0 + 8], {%1, %2};" ::"l"(global), "r"(words[2]),
                 "r"(words[3]));
  } else {
    MIX_UNROLL
    for (int i = 0; i < 4; i++) {
      asm volatile("st.global.b32 [%0], %1;" ::"l"(global + 4 * i), "r"(words[i]));
    }
  }
#else
  memcpy(at, words, 16);
#endif
}

// The first `count` values of 16 bytes, in the widest stores that the address allows.
template <typename Out>
MIX_HD void StoreRun(Out *at, const uint32_t (&words)[4], int count) {
  constexpr int kValues = 16 / sizeof(Out);
  if (count >= kValues && IsAligned<16>(at)) {
    return StoreWords<16>(at, words);
  }
  if (count >= kValues && IsAligned<8>(at)) {
    return StoreWords<8>(at, words);
  }
  if (count >= kValues && IsAligned<4>(at)) {
    return StoreWords<4>(at, words);
  }
  MIX_UNROLL
  for (int i = 0; i < kValues; i++) {
    constexpr int kPerWord = 4 / sizeof(Out);
    const uint32_t bits = words[i / kPerWord] >> (i % kPerWord * 8 * sizeof(Out));
    Out value;
    memcpy(&value, &bits, sizeof(value));
    if (i < count) {
      at[i] = value;
    }
  }
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_KERNEL_REGISTERS_H_
