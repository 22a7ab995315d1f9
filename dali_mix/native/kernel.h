// The CUDA kernel of fn.dali_mix.apply, thread by thread, as host-and-device functions: a host test
// walks every (block, thread) of a launch and sees what each one writes.
//
// A thread writes one tile: consecutive pixels of one output row, all channels. A block's threads
// take consecutive tiles of one sample; the grid is (blocks of the largest sample, samples).
#ifndef DALI_MIX_NATIVE_KERNEL_H_
#define DALI_MIX_NATIVE_KERNEL_H_

#include <cstddef>

#include "rows.h"

namespace dali_mix {

// Arrays of a thread stay in registers only if every index is known when the loop is unrolled.
#if defined(__CUDA_ARCH__)
#define MIX_UNROLL _Pragma("unroll")
#else
#define MIX_UNROLL
#endif

constexpr int kThreads = 256;

MIX_HD int DivUp(int a, int b) { return (a + b - 1) / b; }

template <int kPixels>
MIX_HD int TilesOf(const Sample &sample) {
  return DivUp(sample.width, kPixels) * sample.height;
}

// Inside the box, to the left or right of it, or in a row without one: what shows at column x.
MIX_HD Shows ShowsAt(const Sample &sample, Cut cut, int x) {
  return cut.begin <= x && x < cut.end ? Shows::kPartner : sample.outside;
}

template <typename Out, typename In>
MIX_HD Out MixValue(Shows shows, In own, In partner, Single single, Blend blend) {
  if (shows == Shows::kBlend) return Narrow<Out>(BlendPixel(own, partner, blend, single.s));
  return Narrow<Out>(NormalizePixel(shows == Shows::kOwn ? own : partner, single));
}

// One pixel of the output, by the definition. `weights` are those of the sample.
template <typename In, typename Out>
MIX_HD void WritePixel(const Call &call, const Layered &sample, const float *weights, int y,
                       int x) {
  const Shown shown = ShownAt(sample, y, x);
  const ptrdiff_t pixel = static_cast<ptrdiff_t>(y) * sample.width + x;
  Out *out = static_cast<Out *>(sample.out) + pixel * (call.planar ? 1 : call.out_channels);
  const ptrdiff_t step = call.planar ? sample.plane : 1;
  for (int c = 0; c < call.out_channels; c++, out += step)
    *out = c < call.channels ? MixPixel<In, Out>(call, sample, weights, shown, y, x, c) : Out{};
}

// Any types, strides, layers and number of channels: a tile is one pixel.
template <typename In, typename Out>
struct AnyTile {
  static constexpr int kPixels = 1;

  MIX_HD static void Write(const Call &call, const Layered &sample, const float *weights,
                           int tile) {
    WritePixel<In, Out>(call, sample, weights, tile / sample.width, tile % sample.width);
  }
};

template <int kBytes>
struct alignas(kBytes) Chunk {
  uint32_t words[kBytes / 4];
};

template <int kBytes>
MIX_HD bool IsAligned(const void *at) {
  return reinterpret_cast<uintptr_t>(at) % kBytes == 0;
}

template <int kBytes, int kWords>
MIX_HD void LoadChunks(uint32_t (&words)[kWords], const uint8_t *at) {
  MIX_UNROLL for (int i = 0; i < kWords; i += kBytes / 4) {
    const auto chunk = *reinterpret_cast<const Chunk<kBytes> *>(at + 4 * i);
    MIX_UNROLL for (int k = 0; k < kBytes / 4; k++) words[i + k] = chunk.words[k];
  }
}

// kWords 32-bit words from `at`, in the widest loads that its alignment allows.
template <int kWords>
MIX_HD void LoadWords(uint32_t (&words)[kWords], const uint8_t *at) {
  if (kWords % 4 == 0 && IsAligned<16>(at)) return LoadChunks<kWords % 4 ? 4 : 16>(words, at);
  if (kWords % 2 == 0 && IsAligned<8>(at)) return LoadChunks<kWords % 2 ? 4 : 8>(words, at);
  if (IsAligned<4>(at)) return LoadChunks<4>(words, at);
  MIX_UNROLL for (int i = 0; i < kWords; i++) {
    words[i] = at[4 * i] | at[4 * i + 1] << 8 | at[4 * i + 2] << 16 |
               static_cast<uint32_t>(at[4 * i + 3]) << 24;
  }
}

// uint8 images with kIn interleaved channels: a tile fills a chunk of every output channel.
template <typename Out, int kIn, int kOut, bool kPlanar>
struct VectorTile {
  static constexpr int kPixels = sizeof(Out) == 4 ? 4 : 8;
  static constexpr int kStore = kPixels * static_cast<int>(sizeof(Out));  // bytes

  MIX_HD static void Write(const Call &call, const Layered &sample, const float *weights,
                           int tile) {
    const int per_row = DivUp(sample.width, kPixels);
    const int y = tile / per_row, x = (tile - y * per_row) * kPixels;
    const int count = sample.width - x < kPixels ? sample.width - x : kPixels;
    if (sample.more) {
      for (int p = 0; p < count; p++) WritePixel<uint8_t, Out>(call, sample, weights, y, x + p);
      return;
    }
    const Cut cut = CutOfRow(sample, y);
    const bool all_partner = cut.begin <= x && x + count <= cut.end;
    const bool no_partner = x >= cut.end || x + count <= cut.begin;
    Pixels own, partner;
    if (!all_partner && sample.outside != Shows::kPartner) own.Load(sample.own, y, x, count);
    if (!no_partner || sample.outside != Shows::kOwn) partner.Load(sample.partner, y, x, count);

    Out values[kOut][kPixels];
    MIX_UNROLL for (int p = 0; p < kPixels; p++) {
      const Shows shows = ShowsAt(sample, cut, x + p);
      MIX_UNROLL for (int c = 0; c < kOut; c++) {
        const Blend blend =
            c < kIn ? Blend{weights[c * call.images], weights[c * call.images + 1]} : Blend{};
        values[c][p] =
            c < kIn ? MixValue<Out>(shows, own.At(p, c), partner.At(p, c), call.singles[c], blend)
                    : Out{};
      }
    }
    Store(sample, y, x, count, values);
  }

 private:
  // The bytes of a tile as they lie in memory; a mirrored tile is turned around when it is read.
  struct Pixels {
    uint32_t words[kPixels * kIn / 4] = {};
    bool mirrored = false;

    MIX_HD void Load(const Source &source, int y, int x, int count) {
      const uint8_t *first = static_cast<const uint8_t *>(source.origin) +
                             static_cast<ptrdiff_t>(y) * source.row +
                             static_cast<ptrdiff_t>(x) * source.column;
      if (count == kPixels) {
        mirrored = source.column < 0;
        LoadWords(words, first - (mirrored ? (kPixels - 1) * kIn : 0));
        return;
      }
      // The last tile of a row: only what is there, in the order of the output.
      MIX_UNROLL for (int p = 0; p < kPixels - 1; p++) {
        MIX_UNROLL for (int c = 0; c < kIn; c++) {
          const int byte = p * kIn + c;
          if (p < count)
            words[byte / 4] |=
                static_cast<uint32_t>(first[static_cast<ptrdiff_t>(p) * source.column + c])
                << (byte % 4 * 8);
        }
      }
    }
    MIX_HD uint8_t At(int p, int c) const {
      const int plain = p * kIn + c, back = (kPixels - 1 - p) * kIn + c;
      const uint32_t a = words[plain / 4] >> (plain % 4 * 8);
      const uint32_t b = words[back / 4] >> (back % 4 * 8);
      return static_cast<uint8_t>(mirrored ? b : a);
    }
  };

  MIX_HD static void Store(const Sample &sample, int y, int x, int count,
                           const Out (&values)[kOut][kPixels]) {
    const ptrdiff_t pixel = static_cast<ptrdiff_t>(y) * sample.width + x;
    const ptrdiff_t area = sample.plane;
    Out *out = static_cast<Out *>(sample.out) + (kPlanar ? pixel : pixel * kOut);
    // One chunk for each channel: of a plane, or of consecutive interleaved values.
    MIX_UNROLL for (int v = 0; v < kOut; v++) {
      Out *at = kPlanar ? out + v * area : out + v * kPixels;
      alignas(kStore) Out run[kPixels];
      MIX_UNROLL for (int i = 0; i < kPixels; i++) {
        const int n = v * kPixels + i;
        run[i] = kPlanar ? values[v][i] : values[n % kOut][n / kOut];
      }
      const int left = kPlanar ? count : count * kOut - v * kPixels;
      if (left >= kPixels && IsAligned<kStore>(at)) {
        *reinterpret_cast<Chunk<kStore> *>(at) = BitCast<Chunk<kStore>>(run);
      } else {
        MIX_UNROLL for (int i = 0; i < kPixels; i++) if (i < left) at[i] = run[i];
      }
    }
  }
};

// One thread of the launch.
template <class Tile>
MIX_HD void WriteTile(const Call &call, const Sample *samples, int block_x, int block_y,
                      int thread) {
  const int layers = samples[block_y].layers;
  const Layered sample = {samples[block_y], layers < 0 ? nullptr : call.layers + layers};
  const int tile = block_x * kThreads + thread;
  if (tile >= TilesOf<Tile::kPixels>(sample)) return;
  Tile::Write(call, sample, WeightsOf(call, block_y), tile);
}

template <class Tile>
int BlocksFor(const Sample *samples, int count) {
  int tiles = 0;
  for (int i = 0; i < count; i++) {
    const int of_sample = TilesOf<Tile::kPixels>(samples[i]);
    tiles = of_sample > tiles ? of_sample : tiles;
  }
  return DivUp(tiles, kThreads);
}

// Calls visit.template operator()<Tile>() with the tile that a call needs: the launcher and the
// host walk choose alike.
template <typename Out, typename Visit>
void VisitChannels(const RowsKey &key, Visit &&visit) {
  const auto is = [&key](int channels, int out_channels, bool planar) {
    return key.interleaved && key.channels == channels && key.out_channels == out_channels &&
           key.planar == planar;
  };
  if (key.in == InType::kFloat) return visit.template operator()<AnyTile<float, Out>>();
  if (key.in == InType::kHalf) return visit.template operator()<AnyTile<Half, Out>>();
  if (is(1, 1, true) || is(1, 1, false))
    return visit.template operator()<VectorTile<Out, 1, 1, true>>();
  if (is(3, 3, true)) return visit.template operator()<VectorTile<Out, 3, 3, true>>();
  if (is(3, 3, false)) return visit.template operator()<VectorTile<Out, 3, 3, false>>();
  if (is(3, 4, true)) return visit.template operator()<VectorTile<Out, 3, 4, true>>();
  if (is(3, 4, false)) return visit.template operator()<VectorTile<Out, 3, 4, false>>();
  if (is(4, 4, true)) return visit.template operator()<VectorTile<Out, 4, 4, true>>();
  if (is(4, 4, false)) return visit.template operator()<VectorTile<Out, 4, 4, false>>();
  visit.template operator()<AnyTile<uint8_t, Out>>();
}

template <typename Visit>
void VisitCopied(InType in, Visit &&visit) {
  const auto copy = [&]<typename T>(T) {
    visit.template operator()<AnyTile<Copied<T>, Copied<T>>>();
  };
  if (in == InType::kCopied1) return copy(uint8_t{});
  if (in == InType::kCopied2) return copy(uint16_t{});
  if (in == InType::kCopied4) return copy(uint32_t{});
  copy(uint64_t{});
}

template <typename Visit>
void VisitTile(const RowsKey &key, Visit &&visit) {
  switch (key.out) {
    case OutType::kFloat:
      return VisitChannels<float>(key, visit);
    case OutType::kHalf:
      return VisitChannels<Half>(key, visit);
    case OutType::kUint8:
      return VisitChannels<uint8_t>(key, visit);
    case OutType::kInt8:
      return VisitChannels<int8_t>(key, visit);
    case OutType::kCopied:
      return VisitCopied(key.in, visit);
  }
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_KERNEL_H_
