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
    const View view =
        layers ? ViewOf(call, Layered{sample, layers}, index, y, x) : ViewOf(sample, y, x);
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
  static constexpr uint32_t kAll = (uint32_t{1} << kPixels) - 1;

  struct Image {
    Source source;
    Bytes bytes;  // that may be read
  };
  struct View {
    TilePattern pattern;
    Image first, second;
  };

  MIX_HD static View ViewOf(const Sample &sample, int y, int x) {
    const Box all = {0, 0, sample.height, sample.width};
    // In a box alone the partner need not be as large as the output.
    const Box seen = sample.outside == Shows::kOwn ? sample.box : all;
    return {PatternOf<kPixels>(sample, y, x),
            {sample.own, Readable(sample.own, all)},
            {sample.partner, Readable(sample.partner, seen)}};
  }

  MIX_HD static View ViewOf(const Call &call, const Layered &sample, int index, int y, int x) {
    const TilePattern pattern = PatternOf<kPixels>(sample, y, x, CountAt(sample, x));
    const Bytes *bytes = call.bytes + static_cast<ptrdiff_t>(index) * call.images;
    return {pattern,
            {sample.Image(pattern.first), bytes[pattern.first]},
            {sample.Image(pattern.second), bytes[pattern.second]}};
  }

  // The memory from the first to the last pixel that an output box sees: all of it is the image's.
  MIX_HD static Bytes Readable(const Source &source, Box box) {
    const bool mirrored = source.column < 0;
    const uint8_t *begin = PixelAt<uint8_t>(source, box.y0, mirrored ? box.x1 - 1 : box.x0, 0);
    const uint8_t *last = PixelAt<uint8_t>(source, box.y1 - 1, mirrored ? box.x0 : box.x1 - 1, 0);
    return {begin, last + kIn};
  }

  MIX_HD static int CountAt(const Sample &sample, int x) {
    return sample.width - x < kPixels ? sample.width - x : kPixels;
  }

  using Loaded = Covering<kBytes>;

  MIX_HD static void Fetch(Loaded &loaded, const Image &image, int y, int x) {
    const int lowest = image.source.column < 0 ? x + kPixels - 1 : x;
    loaded.Fetch(PixelAt<uint8_t>(image.source, y, lowest, 0), image.bytes);
  }

  // The bytes of a tile in the order of the output.
  MIX_HD static void Arrange(uint32_t (&words)[kWords], Loaded &loaded, const Image &image) {
    loaded.Align(words);
    if (image.source.column < 0) {
      Mirror<kIn>(words);
    }
  }

  MIX_HD static void WriteView(const Call &call, const Sample &sample, int y, int x,
                               const View &view, const Blend (&weights)[kIn]) {
    const bool blended = view.pattern.blended;
    const uint32_t bits = view.pattern.bits & kAll;
    Loaded loaded_a, loaded_b;
    if (bits != kAll) {
      Fetch(loaded_a, view.first, y, x);
    }
    if (bits != 0 || blended) {
      Fetch(loaded_b, view.second, y, x);
    }
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
    if (!blended || bits == kAll) {
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
