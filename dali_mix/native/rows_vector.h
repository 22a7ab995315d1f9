// uint8 images with 1, 3 or 4 interleaved channels, or planes: vector code. Included by each
// rows_*.cc inside its own namespace, after rows_band.h.

template <typename Out, int kIn, int kOut, bool kPlanar>
class VectorRows {
 public:
  static void Rows(const Call &call, const CpuSample &sample, int y_begin, int y_end) {
    RowsOf<false>(call, sample, y_begin, y_end);
  }
  static void StreamedRows(const Call &call, const CpuSample &sample, int y_begin, int y_end) {
    RowsOf<true>(call, sample, y_begin, y_end);
    V::Fence();
  }

 private:
  using B = Blocks<Out, kIn, kOut, kPlanar>;
  using G = typename B::G;
  using Lanes = typename B::Lanes;

  // A row of a mask of other width than the output is spread out on the stack.
  static constexpr int kWidestMask = 1 << 16;

  template <bool kStream>
  static void RowsOf(const Call &call, const CpuSample &sample, int y_begin, int y_end) {
    if (std::is_integral_v<Out> && !FitInts(call, sample))
      return GenericRows<uint8_t, Out>(call, sample, y_begin, y_end);
    const bool masked = sample.Masked();
    const bool spread = masked && sample.more->mask.width != sample.width;
    if (spread && sample.width > kWidestMask)
      return GenericRows<uint8_t, Out>(call, sample, y_begin, y_end);
    auto *buffer = static_cast<uint8_t *>(__builtin_alloca(spread ? sample.width : 1));
    // Planes are images of one channel, one after the other.
    const int passes = kIn == 1 ? call.channels : 1;
    for (int pass = 0; pass < passes; pass++) {
      Lanes lanes;
      FillLanes(lanes, call, sample, pass);
      int filled = -1;
      Pattern pattern;
      for (int y = y_begin; y < y_end;) {
        const int end = masked ? y + 1 : NextPattern(sample, y, y_end);
        SetPattern(pattern, sample, y, MaskRow(sample, y, buffer, filled));
        if (pattern.simple)
          WriteBand<kStream>(sample, pattern, lanes, y, end, pass);
        else if (pass == 0)
          for (int row = y; row < end; row++)
            WritePixels<uint8_t, Out>(call, sample, row, 0, sample.width);
        y = end;
      }
    }
    if (masked) SoftPixels(call, sample, y_begin, y_end, buffer);
    if (kIn == 1) ZeroPlanes(call, sample, y_begin, y_end);
  }

  // Rows of one pattern.
  template <bool kStream>
  static void WriteBand(const CpuSample &sample, const Pattern &pattern, const Lanes &lanes,
                        int y_begin, int y_end, int pass) {
    const auto side = [&](int image, Columns columns) {
      const Source &source = sample.Image(image);
      const auto *origin = static_cast<const uint8_t *>(source.origin);
      const uint8_t *pixel = origin + static_cast<ptrdiff_t>(y_begin) * source.row +
                             static_cast<ptrdiff_t>(pass) * source.channel;
      return Side{pixel, source.row, source.column < 0, sample.bytes[image], columns};
    };
    using Rows = Band<Out, kIn, kOut, kPlanar>;
    const ptrdiff_t first = static_cast<ptrdiff_t>(y_begin) * sample.width * Rows::kStep;
    Rows band(
        pattern, lanes, side(pattern.base == kBlended ? 0 : pattern.base, pattern.base_columns),
        side(pattern.inset, pattern.inset_columns),
        static_cast<Out *>(sample.out) + first + (kPlanar ? pass * ptrdiff_t{sample.plane} : 0),
        sample.plane, sample.width, y_end - y_begin);
    band.template Write<kStream>();
  }

  // Writes the pixels of a soft mask again, each with a weight of its own.
  static void SoftPixels(const Call &call, const CpuSample &sample, int y_begin, int y_end,
                         uint8_t *buffer) {
    int filled = -1;
    for (int y = y_begin; y < y_end; y++) {
      const uint8_t *mask = MaskRow(sample, y, buffer, filled);
      for (int x = 0; x < sample.width;) {
        const int begin = EndOfHard(mask, x, sample.width);
        for (x = begin; x < sample.width && mask[x] != 0 && mask[x] != 255;) x++;
        WritePixels<uint8_t, Out>(call, sample, y, begin, x);
      }
    }
  }

  // The first of columns x, …, width - 1 where the mask is soft, else `width`.
  static int EndOfHard(const uint8_t *mask, int x, int width) {
    while (x < width) {
      uint64_t eight = 1;  // most often all are alike
      if (x + 8 <= width) __builtin_memcpy(&eight, mask + x, 8);
      if (eight == 0 || eight == ~uint64_t{0})
        x += 8;
      else if (mask[x] == 0 || mask[x] == 255)
        x++;
      else
        break;
    }
    return x;
  }

  // Whether all values can be converted to 32-bit integers, which saturating packs take to 8 bits:
  // half of what fits leaves room for rounding. False for NaN.
  static bool FitInts(const Call &call, const CpuSample &sample) {
    constexpr float kMost = 1 << 30;
    const float *weights = WeightsOf(call, sample.index);
    for (int c = 0; c < call.channels; c++) {
      float sum = __builtin_fabsf(call.singles[c].k);
      for (int i = 0; i < 2; i++) sum += __builtin_fabsf(weights[c * call.images + i]);
      if (!(255 * sum + __builtin_fabsf(call.singles[c].s) < kMost)) return false;
    }
    return true;
  }

  static void FillLanes(Lanes &lanes, const Call &call, const CpuSample &sample, int pass) {
    const float *weights = WeightsOf(call, sample.index) + pass * call.images;
    const bool blended = sample.outside == Shows::kBlend;
    for (int p = 0; p < G::kPatterns; p++) {
      for (int i = 0; i < V::kFloats; i++) {
        const int channel = G::Channel(p, G::kStride * i);
        const bool padding = channel >= kIn;
        const Single single = padding ? Single{0, 0} : call.singles[pass + channel];
        // The bytes are finite, so a weight of 0 leaves the other image's value to the bit.
        Blend blend = {single.k, 0};
        if (blended && !padding)
          blend = {weights[channel * call.images], weights[channel * call.images + 1]};
        lanes.k.of[p][i] = single.k;
        lanes.s.of[p][i] = single.s;
        lanes.base.of[p][i] = blend.own;
        lanes.inset.of[p][i] = blend.partner;
      }
    }
  }

  static void ZeroPlanes(const Call &call, const CpuSample &sample, int y_begin, int y_end) {
    const ptrdiff_t width = sample.width, plane = sample.plane;
    for (int c = call.channels; c < call.out_channels; c++)
      __builtin_memset(static_cast<Out *>(sample.out) + c * plane + y_begin * width, 0,
                       (y_end - y_begin) * width * sizeof(Out));
  }
};

template <typename Out, int kIn, int kOut, bool kPlanar>
RowsFn SelectStream(bool stream) {
  using R = VectorRows<Out, kIn, kOut, kPlanar>;
  return stream ? R::StreamedRows : R::Rows;
}

template <typename Out>
RowsFn SelectChannels(const RowsKey &key) {
  if (!key.interleaved) return key.planar ? SelectStream<Out, 1, 1, true>(key.stream) : nullptr;
  const auto is = [&key](int channels, int out_channels) {
    return key.channels == channels && key.out_channels == out_channels;
  };
  if (is(1, 1)) return SelectStream<Out, 1, 1, true>(key.stream);
  if (is(3, 3))
    return key.planar ? SelectStream<Out, 3, 3, true>(key.stream)
                      : SelectStream<Out, 3, 3, false>(key.stream);
  if (is(3, 4))
    return key.planar ? SelectStream<Out, 3, 4, true>(key.stream)
                      : SelectStream<Out, 3, 4, false>(key.stream);
  if (is(4, 4))
    return key.planar ? SelectStream<Out, 4, 4, true>(key.stream)
                      : SelectStream<Out, 4, 4, false>(key.stream);
  return nullptr;
}

// Null where only the generic loop will do.
inline RowsFn SelectVector(const RowsKey &key) {
  if (key.in != InType::kUint8) return nullptr;
  switch (key.out) {
    case OutType::kFloat:
      return SelectChannels<float>(key);
    case OutType::kHalf:
      return SelectChannels<Half>(key);
    case OutType::kUint8:
      return SelectChannels<uint8_t>(key);
    case OutType::kInt8:
      return SelectChannels<int8_t>(key);
    case OutType::kCopied:
      return nullptr;
  }
  return nullptr;
}
