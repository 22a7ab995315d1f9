// The CPU loops for AVX-512 (F, BW, VL, DQ), from RGB to uint8: see Note [fastest].
#include <immintrin.h>

// GCC before 13 takes the deliberately undefined operand inside its own AVX-512 intrinsics for a
// bug of the caller (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include <algorithm>
#include <array>
#include <utility>

#include "loops/dispatch.h"
#include "loops/level.h"

namespace dali_mix {
namespace avx512 {

struct Vectors {
  static constexpr int kLanes = 4;
  static constexpr bool kStreams = true;
  static constexpr bool kEveryKey = false;
  using F = __m512;
  using Window = __m512i;

  // From a pixel to the windows of the four lanes: all the same, or whole words apart.
  using Starts = std::array<int, kLanes>;
  static constexpr Starts Place(Starts starts) { return starts; }
  template <Starts kStarts>
  MIX_HD static Window Load(const uint8_t *pixel) {
    constexpr int kLow = *std::min_element(kStarts.begin(), kStarts.end());
    constexpr int kSpan = *std::max_element(kStarts.begin(), kStarts.end()) + 16 - kLow;
    static_assert(kSpan <= 64);
    const uint8_t *low = pixel + kLow;
    if constexpr (kSpan == 16) {
      return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i *>(low)));
    }
    const __m512i words = WordsOf<kSpan>(low);
    if constexpr (kStarts == Starts{kLow, kLow + 16, kLow + 32, kLow + 48}) {
      return words;
    }
    alignas(64) static constexpr auto kWords = IndicesOfWords(kStarts, kLow);
    return _mm512_permutexvar_epi32(_mm512_load_si512(kWords.data()), words);
  }
  MIX_HD static Window LoadBytes(const uint8_t *bytes) { return _mm512_loadu_si512(bytes); }
  MIX_HD static Window PickBytes(Window window, const uint8_t *control) {
    return _mm512_shuffle_epi8(window, _mm512_load_si512(control));
  }
  MIX_HD static Window Or(Window a, Window b) { return _mm512_or_si512(a, b); }
  MIX_HD static F ToFloats(Window ints) { return _mm512_cvtepi32_ps(ints); }
  MIX_HD static void Widen(const uint8_t *bytes, F (&floats)[4]) {
    for (int v = 0; v < 4; v++) {
      const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes) + v);
      floats[v] = ToFloats(_mm512_cvtepu8_epi32(sixteen));
    }
  }
  // The first and the last of every four bytes, widened.
  MIX_HD static Window LowBytes(Window bytes) {
    return _mm512_and_si512(bytes, _mm512_set1_epi32(0xff));
  }
  MIX_HD static Window HighBytes(Window bytes) { return _mm512_srli_epi32(bytes, 24); }
  MIX_HD static F Load(const float *values) { return _mm512_load_ps(values); }
  MIX_HD static F Fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }

  // The low or the high half of the floats as doubles, and back.
  using D = __m512d;
  MIX_HD static D Load(const double *values) { return _mm512_load_pd(values); }
  MIX_HD static D Fma(D a, D b, D c) { return _mm512_fmadd_pd(a, b, c); }
  MIX_HD static D Low(F floats) { return _mm512_cvtps_pd(_mm512_castps512_ps256(floats)); }
  MIX_HD static D High(F floats) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(floats, 1)); }
  MIX_HD static F Narrow(D low, D high) {
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high),
                              1);
  }

  // `in` where the bit of the index is 1, else `out`.
  MIX_HD static F Select(const int *index, uint32_t bits, F in, F out) {
    const __m512i bit = _mm512_sllv_epi32(_mm512_set1_epi32(1), _mm512_load_si512(index));
    const __mmask16 inside = _mm512_test_epi32_mask(_mm512_set1_epi32(static_cast<int>(bits)), bit);
    return _mm512_mask_blend_ps(inside, out, in);
  }

  template <bool kStream, typename Out>
  static void StoreFloats(Out *out, const F (&values)[4]) = delete;
  template <bool kStream, typename Out>
  MIX_HD static void StoreBytes(Out *out, Window bytes) {
    auto *at = reinterpret_cast<__m512i *>(out);
    kStream ? _mm512_stream_si512(at, bytes) : _mm512_storeu_si512(at, bytes);
  }
  MIX_HD static void Fence() { _mm_sfence(); }

  MIX_HD static Window Round(F values) { return _mm512_cvtps_epi32(values); }
  MIX_HD static Window PackInts(Window a, Window b) { return _mm512_packs_epi32(a, b); }
  template <typename Byte>
  MIX_HD static Window PackWords(Window a, Window b) {
    return std::is_signed_v<Byte> ? _mm512_packs_epi16(a, b) : _mm512_packus_epi16(a, b);
  }
  // The 4-byte pieces that packs put out of order.
  MIX_HD static Window Ordered(Window packed) {
    alignas(64) static constexpr int kPieces[] = {0, 4, 8,  12, 1, 5, 9,  13,
                                                  2, 6, 10, 14, 3, 7, 11, 15};
    return _mm512_permutexvar_epi32(_mm512_load_si512(kPieces), packed);
  }

 private:
  template <int kSpan>
  MIX_HD static __m512i WordsOf(const uint8_t *low) {
    if constexpr (kSpan <= 32) {
      return _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(low)));
    }
    return _mm512_loadu_si512(low);
  }
  static constexpr std::array<int, 16> IndicesOfWords(Starts starts, int low) {
    std::array<int, 16> words = {};
    for (int i = 0; i < 16; i++) {
      words[i] = (starts[i / 4] - low) / 4 + i % 4;
    }
    return words;
  }
};

#include "loops/isa.inc"

}  // namespace avx512

RowsFn RowsAvx512(const RowsKey &key) { return avx512::SelectVector(key); }

}  // namespace dali_mix
