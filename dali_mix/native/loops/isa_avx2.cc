// The CPU loops for AVX2, FMA and F16C.
#include <immintrin.h>

#include <array>
#include <utility>

#include "loops/dispatch.h"
#include "loops/level.h"

namespace dali_mix {
namespace avx2 {

struct Vectors {
  static constexpr int kLanes = 2;
  static constexpr bool kStreams = true;
  static constexpr bool kEveryKey = true;
  using F = __m256;
  using Window = __m256i;

  // From a pixel to the windows of the two lanes.
  using Starts = std::array<int, kLanes>;
  // Windows of ascending lanes that overlap are one load: the first may begin early.
  static constexpr bool IsOneLoad(Starts starts) {
    return starts[0] < starts[1] && starts[1] <= starts[0] + 16;
  }
  static constexpr Starts Place(Starts starts) {
    return IsOneLoad(starts) ? Starts{starts[1] - 16, starts[1]} : starts;
  }
  template <Starts kStarts>
  MIX_HD static Window Load(const uint8_t *pixel) {
    const auto half = [pixel](int start) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i *>(pixel + start));
    };
    if constexpr (IsOneLoad(kStarts)) {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(pixel + kStarts[0]));
    }
    if constexpr (kStarts[0] == kStarts[1]) {
      return _mm256_broadcastsi128_si256(half(kStarts[0]));
    }
    return _mm256_inserti128_si256(_mm256_castsi128_si256(half(kStarts[0])), half(kStarts[1]), 1);
  }
  MIX_HD static Window LoadBytes(const uint8_t *bytes) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(bytes));
  }
  MIX_HD static Window PickBytes(Window window, const uint8_t *control) {
    const auto *at = reinterpret_cast<const __m256i *>(control);
    return _mm256_shuffle_epi8(window, _mm256_load_si256(at));
  }
  MIX_HD static Window Or(Window a, Window b) { return _mm256_or_si256(a, b); }
  MIX_HD static F ToFloats(Window ints) { return _mm256_cvtepi32_ps(ints); }
  // Loads are dearer than shuffles: each serves two vectors.
  MIX_HD static void Widen(const uint8_t *bytes, F (&floats)[4]) {
    for (int half = 0; half < 2; half++) {
      const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes) + half);
      const __m256i twice = _mm256_broadcastsi128_si256(sixteen);
      floats[2 * half] = ToFloats(PickBytes(twice, kEights.bytes[0]));
      floats[2 * half + 1] = ToFloats(PickBytes(twice, kEights.bytes[1]));
    }
  }
  // The first and the last of every four bytes, widened.
  MIX_HD static Window LowBytes(Window bytes) {
    return _mm256_and_si256(bytes, _mm256_set1_epi32(0xff));
  }
  MIX_HD static Window HighBytes(Window bytes) { return _mm256_srli_epi32(bytes, 24); }
  MIX_HD static F Load(const float *values) { return _mm256_load_ps(values); }
  MIX_HD static F Fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }

  // The low or the high half of the floats as doubles, and back.
  using D = __m256d;
  MIX_HD static D Load(const double *values) { return _mm256_load_pd(values); }
  MIX_HD static D Fma(D a, D b, D c) { return _mm256_fmadd_pd(a, b, c); }
  MIX_HD static D Low(F floats) { return _mm256_cvtps_pd(_mm256_castps256_ps128(floats)); }
  MIX_HD static D High(F floats) { return _mm256_cvtps_pd(_mm256_extractf128_ps(floats, 1)); }
  MIX_HD static F Narrow(D low, D high) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(low)), _mm256_cvtpd_ps(high),
                                1);
  }

  // `in` where the bit of the index is 1, else `out`.
  MIX_HD static F Select(const int *index, uint32_t bits, F in, F out) {
    const __m256i i = _mm256_load_si256(reinterpret_cast<const __m256i *>(index));
    const __m256i high = _mm256_sub_epi32(_mm256_set1_epi32(31), i);
    const __m256i sign = _mm256_sllv_epi32(_mm256_set1_epi32(static_cast<int>(bits)), high);
    return _mm256_blendv_ps(out, in, _mm256_castsi256_ps(sign));
  }

  template <bool kStream>
  MIX_HD static void StoreFloats(float *out, const F (&values)[4]) {
    for (int g = 0; g < 4; g++) {
      kStream ? _mm256_stream_ps(out + 8 * g, values[g]) : _mm256_storeu_ps(out + 8 * g, values[g]);
    }
  }
  template <bool kStream>
  MIX_HD static void StoreFloats(Half *out, const F (&values)[4]) {
    for (int g = 0; g < 4; g++) {
      __m128i halves = _mm256_cvtps_ph(values[g], _MM_FROUND_TO_NEAREST_INT);
      // Keeps the compiler from one instruction that converts and stores: it takes twice the time.
      asm("" : "+x"(halves));
      auto *at = reinterpret_cast<__m128i *>(out + 8 * g);
      kStream ? _mm_stream_si128(at, halves) : _mm_storeu_si128(at, halves);
    }
  }
  template <bool kStream, typename Byte>
  MIX_HD static void StoreBytes(Byte *out, Window bytes) {
    auto *at = reinterpret_cast<__m256i *>(out);
    kStream ? _mm256_stream_si256(at, bytes) : _mm256_storeu_si256(at, bytes);
  }
  MIX_HD static void Fence() { _mm_sfence(); }

  MIX_HD static Window Round(F values) { return _mm256_cvtps_epi32(values); }
  MIX_HD static Window PackInts(Window a, Window b) { return _mm256_packs_epi32(a, b); }
  template <typename Byte>
  MIX_HD static Window PackWords(Window a, Window b) {
    return std::is_signed_v<Byte> ? _mm256_packs_epi16(a, b) : _mm256_packus_epi16(a, b);
  }
  // The 4-byte pieces that packs put out of order.
  MIX_HD static Window Ordered(Window packed) {
    return _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  }

 private:
  // The first eight of sixteen bytes and the last, widened.
  struct Eights {
    alignas(32) uint8_t bytes[2][32];
  };
  static constexpr Eights kEights = [] {
    Eights eights = {};
    for (int i = 0; i < 64; i++) {
      eights.bytes[i / 32][i % 32] = static_cast<uint8_t>(i % 4 == 0 ? i / 4 : 0x80);
    }
    return eights;
  }();
};

#include "loops/isa.inc"

}  // namespace avx2

RowsFn RowsAvx2(const RowsKey &key) { return avx2::Select(key); }

}  // namespace dali_mix
