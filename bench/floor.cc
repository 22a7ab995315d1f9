// The least that mixing must move: read both images, write the output, no arithmetic. Built and
// called by bench/floor.py. x86-64 only: stores around the cache.
#include <emmintrin.h>

#include <algorithm>
#include <cstdint>
#include <thread>
#include <vector>

namespace {

template <bool around_cache>
void ReadTwoWriteOne(const uint8_t *own, const uint8_t *partner, int64_t in_bytes, uint8_t *out,
                     int64_t out_bytes) {
  __m128i seen = _mm_setzero_si128();
  int64_t read = 0;
  for (int64_t line = 0; line + 64 <= out_bytes; line += 64) {
    // The inputs keep pace with the output.
    const int64_t until = (line + 64) * in_bytes / out_bytes;
    for (; read + 16 <= until; read += 16) {
      const auto load = [read](const uint8_t *at) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i *>(at + read));
      };
      seen = _mm_xor_si128(seen, _mm_xor_si128(load(own), load(partner)));
    }
    for (int part = 0; part < 64; part += 16) {
      auto *at = reinterpret_cast<__m128i *>(out + line + part);
      if constexpr (around_cache)
        _mm_stream_si128(at, seen);
      else
        _mm_store_si128(at, seen);
    }
  }
}

}  // namespace

// `images` and `outs`: one pointer per sample; image i is read together with image i + 1. `outs`
// are 16-byte aligned.
extern "C" void floor_batch(const uint8_t *const *images, uint8_t *const *outs, int64_t count,
                            int64_t in_bytes, int64_t out_bytes, int64_t threads,
                            int64_t around_cache) {
  const auto sample = around_cache ? ReadTwoWriteOne<true> : ReadTwoWriteOne<false>;
  threads = std::min(threads, count);
  const auto share = [=](int64_t t) {
    for (int64_t i = count * t / threads; i < count * (t + 1) / threads; i++)
      sample(images[i], images[(i + 1) % count], in_bytes, outs[i], out_bytes);
    _mm_sfence();
  };
  std::vector<std::thread> others;
  for (int64_t t = 1; t < threads; t++) others.emplace_back(share, t);
  share(0);
  for (auto &other : others) other.join();
}
