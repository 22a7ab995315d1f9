// The CPU loops for AVX-512 (F, BW, VL, DQ).
#include <immintrin.h>

// GCC before 13 takes the deliberately undefined operand inside its own AVX-512 intrinsics for a
// bug of the caller (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include <algorithm>
#include <array>
#include <utility>

#include "loops/dispatch.h"

namespace dali_mix {
namespace avx512 {

#include "loops/generic.inc"
#include "loops/pattern.inc"

struct V {
  static constexpr int kLanes = 4, kFloats = 16;
  using F = __m512;
  using Window = __m512i;

  static constexpr int kRun = 4;  // vectors that one store run takes

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
  MIX_HD static F Pick(Window window, const uint8_t *control) {
    return _mm512_cvtepi32_ps(PickBytes(window, control));
  }
  MIX_HD static void Widen(const uint8_t *bytes, F (&floats)[4]) {
    for (int v = 0; v < 4; v++) {
      const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes) + v);
      floats[v] = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(sixteen));
    }
  }
  // Every fourth byte, from each of the first four on. Two are shuffled and two are not, for a
  // balance of ports.
  MIX_HD static void Split(Window bytes, F (&floats)[4]) {
    floats[0] = _mm512_cvtepi32_ps(_mm512_and_si512(bytes, _mm512_set1_epi32(0xff)));
    floats[1] = Pick(bytes, kControls.fourths[0]);
    floats[2] = Pick(bytes, kControls.fourths[1]);
    floats[3] = _mm512_cvtepi32_ps(_mm512_srli_epi32(bytes, 24));
  }
  MIX_HD static F Load(const float *values) { return _mm512_load_ps(values); }
  MIX_HD static F Fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }

  struct Doubles {
    __m512d low, high;
  };
  // As in pixel.h.
  MIX_HD static Doubles SoftWeight(double blend, F levels) {
    const auto half = [blend](__m256 floats) {
      const __m512d level = _mm512_cvtps_pd(floats);
      const __m512d rest = _mm512_mul_pd(level, _mm512_set1_pd(kRest));
      return _mm512_mul_pd(_mm512_set1_pd(blend),
                           _mm512_fmadd_pd(level, _mm512_set1_pd(kPart), rest));
    };
    return {half(_mm512_castps512_ps256(levels)), half(_mm512_extractf32x8_ps(levels, 1))};
  }
  // As in pixel.h, `k` of each float.
  MIX_HD static void BlendOf(const double *k, Doubles w, F &own, F &partner) {
    const __m512d low = _mm512_load_pd(k), high = _mm512_load_pd(k + 8);
    const __m512d one = _mm512_set1_pd(1);
    own = Narrow(_mm512_mul_pd(w.low, low), _mm512_mul_pd(w.high, high));
    partner = Narrow(_mm512_mul_pd(_mm512_sub_pd(one, w.low), low),
                     _mm512_mul_pd(_mm512_sub_pd(one, w.high), high));
  }

  // `in` where the bit of the index is 1, else `out`.
  MIX_HD static F Select(const int *index, uint32_t bits, F in, F out) {
    const __m512i bit = _mm512_sllv_epi32(_mm512_set1_epi32(1), _mm512_load_si512(index));
    const __mmask16 inside = _mm512_test_epi32_mask(_mm512_set1_epi32(static_cast<int>(bits)), bit);
    return _mm512_mask_blend_ps(inside, out, in);
  }

  template <bool kStream>
  MIX_HD static void Store(float *out, const F (&values)[4]) {
    for (int g = 0; g < 4; g++) {
      kStream ? _mm512_stream_ps(out + 16 * g, values[g])
              : _mm512_storeu_ps(out + 16 * g, values[g]);
    }
  }
  template <bool kStream>
  MIX_HD static void Store(Half *out, const F (&values)[4]) {
    for (int g = 0; g < 4; g += 2) {
      const __m256i low = _mm512_cvtps_ph(values[g], _MM_FROUND_TO_NEAREST_INT);
      const __m256i high = _mm512_cvtps_ph(values[g + 1], _MM_FROUND_TO_NEAREST_INT);
      StoreInts<kStream>(out + 16 * g, _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1));
    }
  }
  template <bool kStream, typename Byte>
  MIX_HD static void Store(Byte *out, const F (&values)[4]) {
    const __m512i pieces = _mm512_load_si512(kControls.pieces);
    StoreInts<kStream>(out, _mm512_permutexvar_epi32(pieces, Pack<Byte>(values)));
  }
  // Of vectors that hold every fourth value.
  template <bool kStream, typename Byte>
  MIX_HD static void StoreFourths(Byte *out, const F (&values)[4]) {
    StoreInts<kStream>(out, PickBytes(Pack<Byte>(values), kControls.transposed));
  }
  MIX_HD static void Fence() { _mm_sfence(); }

 private:
  MIX_HD static F Narrow(__m512d low, __m512d high) {
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high),
                              1);
  }

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

  struct Controls {
    // The second and the third of every four bytes, widened; four by four bytes, transposed; 4-byte
    // pieces that packs have put out of order, put back.
    alignas(64) uint8_t fourths[2][64], transposed[64];
    alignas(64) int pieces[16];
  };
  static constexpr Controls kControls = [] {
    Controls controls = {};
    for (int i = 0; i < 64; i++) {
      for (int part = 0; part < 2; part++) {
        controls.fourths[part][i] = static_cast<uint8_t>(i % 4 == 0 ? i % 16 + 1 + part : 0x80);
      }
      controls.transposed[i] = static_cast<uint8_t>(i % 4 * 4 + i / 4 % 4);
    }
    for (int i = 0; i < 16; i++) {
      controls.pieces[i] = i % 4 * 4 + i / 4;
    }
    return controls;
  }();

  // As RoundInto in pixel.h, for values that fit a 32-bit integer: the packs saturate. They work
  // within lanes.
  template <typename Byte>
  MIX_HD static __m512i Pack(const F (&values)[4]) {
    const auto two = [&values](int first) {
      return _mm512_packs_epi32(_mm512_cvtps_epi32(values[first]),
                                _mm512_cvtps_epi32(values[first + 1]));
    };
    if constexpr (std::is_signed_v<Byte>) {
      return _mm512_packs_epi16(two(0), two(2));
    }
    return _mm512_packus_epi16(two(0), two(2));
  }
  template <bool kStream, typename Out>
  MIX_HD static void StoreInts(Out *out, __m512i value) {
    auto *at = reinterpret_cast<__m512i *>(out);
    kStream ? _mm512_stream_si512(at, value) : _mm512_storeu_si512(at, value);
  }
};

#include "loops/windows.inc"
// Builds on the windows.
#include "loops/block.inc"
// Builds on the blocks.
#include "loops/band.inc"
// Builds on the bands.
#include "loops/vector.inc"

}  // namespace avx512

RowsFn RowsAvx512(const RowsKey &key) {
  const RowsFn vector = avx512::SelectVector(key);
  return vector ? vector : avx512::SelectGeneric(key);
}

}  // namespace dali_mix
