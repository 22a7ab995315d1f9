// uint8 images with 1, 3 or 4 interleaved channels, or planes: vector code. Included by each
// rows_*.cc inside its own namespace, after rows_block.h.
//
// Loads may run over the row, so rows near the ends of the image's memory, where that could leave
// it, are bounced through a buffer; so are the stores of a last, partial block.

// What a block shows: the base image, the inset one, their blend; or whatever is the base where
// bits are 0, and the inset where they are 1.
enum class Mode { kBase, kInset, kBlend, kBits };

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
  static constexpr int kBlock = B::kPixels;
  static constexpr uint64_t kAll = ~uint64_t{0} >> (64 - kBlock);

  // One row: what shows, and where its two images and the output begin.
  struct Row {
    const Pattern &pattern;
    const uint8_t *base, *inset;  // pixel 0
    bool base_mirrored, inset_mirrored;
    Columns base_safe, inset_safe;  // blocks that begin here may be read by vector loads
    Out *out;
    ptrdiff_t plane;  // planar: from one output channel to the next, in elements
    int width;
  };

  // A row of a mask of other width than the output is spread out on the stack.
  static constexpr int kWidestMask = 1 << 16;

  template <bool kStream>
  static void RowsOf(const Call &call, const CpuSample &sample, int y_begin, int y_end) {
    const bool masked = sample.Masked();
    const bool spread = masked && sample.more->mask.width != sample.width;
    if (spread && sample.width > kWidestMask)
      return PixelRows<uint8_t, Out>(call, sample, y_begin, y_end);
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
          WriteBand<kStream>(call, sample, pattern, lanes, y, end, pass);
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
  static void WriteBand(const Call &call, const CpuSample &sample, const Pattern &pattern,
                        const Lanes &lanes, int y_begin, int y_end, int pass) {
    const int base_image = pattern.base == kBlended ? 0 : pattern.base;
    const Source &base = sample.Image(base_image), &inset = sample.Image(pattern.inset);
    const Bytes &base_bytes = sample.bytes[base_image], &inset_bytes = sample.bytes[pattern.inset];
    Row row = RowAt(call, sample, pattern, base, inset, y_begin, pass);
    const bool stream = kStream && IsWholeLines(row) && !pattern.mask;
    for (int y = y_begin; y < y_end; y++) {
      row.base_safe = SafeBlocks(base_bytes, row.base, row.base_mirrored, row.width);
      row.inset_safe = SafeBlocks(inset_bytes, row.inset, row.inset_mirrored, row.width);
      PrefetchColumns(base, row.base, pattern.base_columns);
      if (pattern.base == kBlended || !pattern.Uniform())
        PrefetchColumns(inset, row.inset, pattern.inset_columns);
      stream ? WriteRow<true>(row, lanes) : WriteRow<false>(row, lanes);
      row.base += base.row;
      row.inset += inset.row;
      row.out += static_cast<ptrdiff_t>(row.width) * (kPlanar ? 1 : kOut);
    }
  }

  // Writes the pixels of a soft mask again, each with a weight of its own.
  static void SoftPixels(const Call &call, const CpuSample &sample, int y_begin, int y_end,
                         uint8_t *buffer) {
    int filled = -1;
    for (int y = y_begin; y < y_end; y++) {
      const uint8_t *mask = MaskRow(sample, y, buffer, filled);
      for (int x = 0; x < sample.width; x++)
        if (mask[x] != 0 && mask[x] != 255) WritePixels<uint8_t, Out>(call, sample, y, x, x + 1);
    }
  }

  static void FillLanes(Lanes &lanes, const Call &call, const CpuSample &sample, int pass) {
    const float *weights = WeightsOf(call, sample.index) + pass * call.images;
    const bool blended = sample.outside == Shows::kBlend;
    for (int v = 0; v < G::kVectors; v++) {
      for (int i = 0; i < V::kFloats; i++) {
        const int channel = kPlanar ? v : (v * V::kFloats + i) % kOut;
        const bool padding = channel >= kIn;
        const Single single = padding ? Single{0, 0} : call.singles[pass + channel];
        // The bytes are finite, so a weight of 0 leaves the other image's value to the bit.
        Blend blend = {single.k, 0};
        if (blended && !padding)
          blend = {weights[channel * call.images], weights[channel * call.images + 1]};
        lanes.k.of[v][i] = single.k;
        lanes.s.of[v][i] = single.s;
        lanes.base.of[v][i] = blend.own;
        lanes.inset.of[v][i] = blend.partner;
      }
    }
  }

  static const uint8_t *SourceRow(const Source &source, int y, int pass) {
    return static_cast<const uint8_t *>(source.origin) + static_cast<ptrdiff_t>(y) * source.row +
           static_cast<ptrdiff_t>(pass) * source.channel;
  }

  static Row RowAt(const Call &call, const CpuSample &sample, const Pattern &pattern,
                   const Source &base, const Source &inset, int y, int pass) {
    const ptrdiff_t width = sample.width, plane = sample.plane;
    const ptrdiff_t offset = kPlanar ? pass * plane + y * width : y * width * call.out_channels;
    return {pattern,
            SourceRow(base, y, pass),
            SourceRow(inset, y, pass),
            base.column < 0,
            inset.column < 0,
            {},
            {},
            static_cast<Out *>(sample.out) + offset,
            plane,
            sample.width};
  }

  // Asks for what the next row reads where it is read backwards, which the processor's own
  // prefetcher does not foresee. Always inlined: g++ takes a function that only prefetches for one
  // without effect, and drops the call.
  MIX_HD static void PrefetchColumns(const Source &source, const uint8_t *pixel, Columns columns) {
    if (source.column > 0) return;
    const uint8_t *at =
        pixel + source.row + static_cast<ptrdiff_t>(columns.end - 1) * source.column;
    const ptrdiff_t bytes = static_cast<ptrdiff_t>(columns.end - columns.begin) * kIn;
    for (ptrdiff_t i = 0; i < bytes; i += 64) __builtin_prefetch(at + i);
  }

  static constexpr int kSlack = 16;  // bytes that vector loads may read beyond their pixels

  // Where blocks of the row may begin, so that the vector loads of a block stay in the image. Most
  // often everywhere.
  static Columns SafeBlocks(const Bytes &bytes, const uint8_t *pixel, bool mirrored, int width) {
    const ptrdiff_t before = pixel - bytes.begin, after = bytes.end - pixel;
    const ptrdiff_t reach = static_cast<ptrdiff_t>(width + kBlock) * kIn + kSlack;
    if (mirrored ? before >= reach && after >= kIn + kSlack : before >= kSlack && after >= reach)
      return {0, width};
    return SomeSafeBlocks(before, after, mirrored, width);
  }

  static Columns SomeSafeBlocks(ptrdiff_t before, ptrdiff_t after, bool mirrored, int width) {
    const ptrdiff_t block = kBlock * kIn;
    // A block at x reads [pixel + x*kIn, + block), or mirrored [pixel - x*kIn + kIn - block, …).
    const ptrdiff_t first = mirrored ? kIn + kSlack - after : kSlack - before;
    const ptrdiff_t last = mirrored ? before + kIn - block - kSlack : after - block - kSlack;
    if (last < 0 || last < first) return {0, 0};
    const ptrdiff_t begin = first <= 0 ? 0 : (first + kIn - 1) / kIn, end = last / kIn + 1;
    return {static_cast<int>(begin < width ? begin : width),
            static_cast<int>(end < width ? end : width)};
  }

  // Stores around the cache pay only for whole cache lines.
  static bool IsWholeLines(const Row &row) {
    const auto bytes = static_cast<uintptr_t>(row.width) * (kPlanar ? 1 : kOut) * sizeof(Out);
    const auto plane = static_cast<uintptr_t>(kPlanar ? row.plane * sizeof(Out) : 0);
    return (reinterpret_cast<uintptr_t>(row.out) | bytes | plane) % 64 == 0;
  }

  static bool IsSafe(Columns safe, int x) { return safe.begin <= x && x < safe.end; }

  // Runs of blocks in which the same shows.
  template <bool kStream>
  static void WriteRow(const Row &row, const Lanes &lanes) {
    const Pattern &pattern = row.pattern;
    const int whole = row.width - row.width % kBlock;
    const Mode base = pattern.base == kBlended ? Mode::kBlend : Mode::kBase;
    if (pattern.Uniform() && whole > 0 && row.base_safe.begin == 0 && row.base_safe.end >= whole &&
        row.inset_safe.begin == 0 && row.inset_safe.end >= whole) {
      WriteRun<kStream>(row, lanes, base, 0, 0, whole);
      if (whole < row.width) BounceBlock(row, lanes, 0, whole, row.width - whole);
      return;
    }
    const auto bits_at = [&](int x) {
      return pattern.Uniform() ? 0 : pattern.BitsAt(x, x < whole ? kBlock : row.width - x);
    };
    const auto is_safe = [&](int x, uint64_t bits) {
      const bool reads_base = bits != kAll, reads_inset = bits != 0 || base == Mode::kBlend;
      return x < whole && (!reads_base || IsSafe(row.base_safe, x)) &&
             (!reads_inset || IsSafe(row.inset_safe, x));
    };
    for (int x = 0; x < row.width;) {
      const uint64_t bits = bits_at(x);
      if (!is_safe(x, bits)) {
        BounceBlock(row, lanes, bits, x, row.width - x < kBlock ? row.width - x : kBlock);
        x += kBlock;
        continue;
      }
      const Mode mode = bits == 0 ? base : (bits == kAll ? Mode::kInset : Mode::kBits);
      int end = x + kBlock;
      while (mode != Mode::kBits && is_safe(end, bits) && bits_at(end) == bits) end += kBlock;
      WriteRun<kStream>(row, lanes, mode, bits, x, end);
      x = end;
    }
  }

  template <bool kStream>
  static void WriteRun(const Row &row, const Lanes &lanes, Mode mode, uint64_t bits, int begin,
                       int end) {
    Cursor<G> base(row.base, row.base_mirrored), inset(row.inset, row.inset_mirrored);
    base.SkipGroups(begin / V::kFloats);
    inset.SkipGroups(begin / V::kFloats);
    Out *out = row.out + static_cast<ptrdiff_t>(begin) * (kPlanar ? 1 : kOut);
    const auto write = [&]<Block kShown>(const Cursor<G> &shown) MIX_INLINE {
      B::template Write<kShown, kStream>(base, shown, out, row.plane, lanes, bits,
                                         (end - begin) / kBlock);
    };
    switch (mode) {
      case Mode::kBase:
        return write.template operator()<Block::kOne>(base);
      case Mode::kInset:
        return write.template operator()<Block::kOne>(inset);
      case Mode::kBlend:
        return write.template operator()<Block::kBlend>(inset);
      case Mode::kBits:
        return write.template operator()<Block::kBits>(inset);
    }
  }

  // `count` pixels from x, read and written through buffers. Only columns that show are read.
  static void BounceBlock(const Row &row, const Lanes &lanes, uint64_t bits, int x, int count) {
    constexpr int kBytes = kBlock * kIn, kSlack = 16;
    uint8_t base[kBytes + 2 * kSlack] = {}, inset[kBytes + 2 * kSlack] = {};
    Cursor<G> base_cursor(
        Bounce(base + kSlack, row.base, row.base_mirrored, row.pattern.base_columns, x, count),
        row.base_mirrored);
    Cursor<G> inset_cursor(
        Bounce(inset + kSlack, row.inset, row.inset_mirrored, row.pattern.inset_columns, x, count),
        row.inset_mirrored);
    alignas(64) Out out[kBlock * kOut];
    B::template Write<Block::kBits, false>(base_cursor, inset_cursor, out, kBlock, lanes, bits, 1);
    if (kPlanar) {
      for (int v = 0; v < kOut; v++)
        __builtin_memcpy(row.out + v * row.plane + x, out + v * kBlock, count * sizeof(Out));
    } else {
      __builtin_memcpy(row.out + static_cast<ptrdiff_t>(x) * kOut, out, count * kOut * sizeof(Out));
    }
  }

  // Copies those of the pixels [x, x + count) of the output's row that lie in `columns`, and
  // returns where pixel x lies in `buffer`.
  static const uint8_t *Bounce(uint8_t *buffer, const uint8_t *pixel, bool mirrored,
                               Columns columns, int x, int count) {
    const uint8_t *at = buffer + (mirrored ? (kBlock - 1) * kIn : 0);
    const int begin = columns.begin > x ? columns.begin : x;
    const int end = columns.end < x + count ? columns.end : x + count;
    if (begin >= end) return at;
    const ptrdiff_t first = mirrored ? -static_cast<ptrdiff_t>(end - 1) : begin;
    const ptrdiff_t place = mirrored ? kBlock - (end - x) : begin - x;
    __builtin_memcpy(buffer + place * kIn, pixel + first * kIn, (end - begin) * kIn);
    return at;
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
