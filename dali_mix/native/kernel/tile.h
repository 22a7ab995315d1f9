// The tiles of the CUDA kernel: what one thread writes, as host-and-device functions.
//
// A tile is consecutive pixels of one output row, all channels: as many pixels as make 16 bytes of
// an output plane, so that neighbouring threads store side by side, whole sectors of memory.
#ifndef DALI_MIX_NATIVE_KERNEL_TILE_H_
#define DALI_MIX_NATIVE_KERNEL_TILE_H_

#include "kernel/tile_pattern.h"

namespace dali_mix {

// One pixel of the output, by the definition. `weights` are those of the sample.
template <typename In, typename Out>
MIX_HD void WritePixel(const Call &call, const Layered &sample, const float *weights, int y,
                       int x) {
  const Shown shown = ShownAt(sample, y, x);
  const ptrdiff_t pixel = static_cast<ptrdiff_t>(y) * sample.width + x;
  Out *out = static_cast<Out *>(sample.out) + pixel * (call.planar ? 1 : call.out_channels);
  const ptrdiff_t step = call.planar ? sample.plane : 1;
  for (int c = 0; c < call.out_channels; c++, out += step) {
    *out = c < call.channels ? MixPixel<In, Out>(call, sample, weights, shown, y, x, c) : Out{};
  }
}

// The layers of a sample, null: none. Without kLayered no sample has any.
template <bool kLayered>
MIX_HD const Layers *LayersOf(const Call &call, const Sample &sample) {
  return kLayered && sample.layers >= 0 ? call.layers + sample.layers : nullptr;
}

// Any types, strides and number of channels: a tile is one pixel.
template <typename In, typename Out>
struct AnyTile {
  static constexpr int kPixels = 1;

  template <bool kLayered>
  MIX_HD static void Write(const Call &call, const Sample &sample, int index, int y, int x) {
    const Layered layered = {sample, LayersOf<kLayered>(call, sample)};
    WritePixel<In, Out>(call, layered, WeightsOf(call, index), y, x);
  }
};

// uint8 images with kIn interleaved channels.
template <typename Out, int kIn, int kOut, bool kPlanar>
struct VectorTile {
  static constexpr int kPixels = 16 / sizeof(Out);

  template <bool kLayered>
  MIX_HD static void Write(const Call &call, const Sample &sample, int index, int y, int x) {
    const Layers *layers = LayersOf<kLayered>(call, sample);
    const View view = layers ? ViewOf(Layered{sample, layers}, y, x) : ViewOf(sample, y, x);
    const float *weights = WeightsOf(call, index);
    if (kLayered && !view.pattern.simple) {
      MIX_ROLLED
      for (int p = 0; p < CountAt(sample, x); p++) {
        WritePixel<uint8_t, Out>(call, Layered{sample, layers}, weights, y, x + p);
      }
      return;
    }
    Blend blends[kIn];
    MIX_UNROLL
    for (int c = 0; c < kIn; c++) {
      blends[c] = {weights[c * call.images], weights[c * call.images + 1]};
    }
    if (kLayered && view.pattern.level < 255) {
      const double own = SoftWeight(layers->blend, view.pattern.level);
      MIX_UNROLL
      for (int c = 0; c < kIn; c++) {
        blends[c] = BlendOf(call.factors[c], own);
      }
    }
    WriteView(call, sample, y, x, view, blends);
  }

 private:
  static constexpr int kBytes = kPixels * kIn, kWords = kBytes / 4;

  struct View {
    TilePattern pattern;
    Source first, second;
  };

  MIX_HD static View ViewOf(const Sample &sample, int y, int x) {
    return {PatternOf<kPixels>(sample, y, x), sample.own, sample.partner};
  }

  MIX_HD static View ViewOf(const Layered &sample, int y, int x) {
    const TilePattern pattern = PatternOf<kPixels>(sample, y, x, CountAt(sample, x));
    return {pattern, sample.Image(pattern.first), sample.Image(pattern.second)};
  }

  MIX_HD static int CountAt(const Sample &sample, int x) {
    return sample.width - x < kPixels ? sample.width - x : kPixels;
  }

  using Loaded = Covering<kBytes>;

  // What lies between two pixels of an image that show in a row is the image's too.
  MIX_HD static void Fetch(Loaded &loaded, const Source &image, int y, int x, uint32_t showing) {
    if (showing == 0) {
      return;
    }
    const bool mirrored = image.column < 0;
    const Range at = SetBits(showing);
    const int begin = mirrored ? kPixels - at.end : at.begin;
    loaded.Fetch(PixelAt<uint8_t>(image, y, mirrored ? x + kPixels - 1 : x, 0),
                 {begin * kIn, (begin + at.end - at.begin) * kIn});
  }

  // The bytes of a tile in the order of the output.
  MIX_HD static void Arrange(uint32_t (&words)[kWords], Loaded &loaded, const Source &image) {
    loaded.Align(words);
    if (image.column < 0) {
      Mirror<kIn>(words);
    }
  }

  MIX_HD static void WriteView(const Call &call, const Sample &sample, int y, int x,
                               const View &view, const Blend (&weights)[kIn]) {
    const bool blended = view.pattern.blended;
    const uint32_t all = (uint32_t{1} << CountAt(sample, x)) - 1, bits = view.pattern.bits & all;
    Loaded loaded_a, loaded_b;
    Fetch(loaded_a, view.first, y, x, all & ~bits);
    Fetch(loaded_b, view.second, y, x, blended ? all : bits);
    uint32_t a[kWords], b[kWords];
    Arrange(a, loaded_a, view.first);
    Arrange(b, loaded_b, view.second);
    const auto single = [&](const uint32_t (&words)[kWords], int p, int c) {
      return Fma(ByteAt(words, p * kIn + c), call.singles[c].k, call.singles[c].s);
    };
    const auto blend = [&](int p, int c) {
      const int byte = p * kIn + c;
      return Fma(ByteAt(a, byte), weights[c].own,
                 Fma(ByteAt(b, byte), weights[c].partner, call.singles[c].s));
    };
    Packed packed;
    if (!blended || bits == all) {
      if (bits != 0) {
        Replace<kIn>(a, b, bits);
      }
      Fill(packed, [&](int p, int c) { return single(a, p, c); });
    } else if (bits == 0) {
      Fill(packed, blend);
    } else {
      Fill(packed, [&](int p, int c) { return bits >> p & 1 ? single(b, p, c) : blend(p, c); });
    }
    StorePacked(packed, sample, y, x);
  }

  // 16 bytes for each channel: of a plane, or of consecutive interleaved values.
  struct Packed {
    uint32_t words[kOut][4];
  };

  template <typename ValueAt>
  MIX_HD static void Fill(Packed &packed, ValueAt &&value_at) {
    MIX_UNROLL
    for (int v = 0; v < kOut; v++) {
      float values[kPixels];
      MIX_UNROLL
      for (int i = 0; i < kPixels; i++) {
        const int n = v * kPixels + i;
        const int p = kPlanar ? i : n / kOut, c = kPlanar ? v : n % kOut;
        values[i] = c < kIn ? value_at(p, c) : 0.0f;
      }
      Pack<Out>(packed.words[v], values);
    }
  }

  MIX_HD static void StorePacked(const Packed &packed, const Sample &sample, int y, int x) {
    const ptrdiff_t pixel = static_cast<ptrdiff_t>(y) * sample.width + x;
    Out *out = static_cast<Out *>(sample.out) + (kPlanar ? pixel : pixel * kOut);
    const ptrdiff_t step = kPlanar ? sample.plane : kPixels;
    const int count = CountAt(sample, x);
    MIX_UNROLL
    for (int v = 0; v < kOut; v++) {
      StoreRun(out + v * step, packed.words[v], kPlanar ? count : count * kOut - v * kPixels);
    }
  }
};

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_KERNEL_TILE_H_
