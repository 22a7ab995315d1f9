// uint8 images with 1, 3 or 4 interleaved channels, or planes: vector code. Included by each
// rows_*.cc inside its own namespace, after rows_block.h.
//
// Loads may run over the row, so rows near the ends of the image's memory, where that could leave
// it, are bounced through a buffer; so are the stores of a last, partial block.

enum class Mode { kOwn, kPartner, kBoth, kCut };

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

  struct Row {
    const uint8_t *own, *partner;  // pixel 0
    bool own_mirrored, partner_mirrored;
    Out *out;
    ptrdiff_t plane;  // planar: from one output plane to the next, in elements
  };

  template <bool kStream>
  static void RowsOf(const Call &call, const CpuSample &sample, int y_begin, int y_end) {
    // Planes are images of one channel, one after the other.
    const int passes = kIn == 1 ? call.channels : 1;
    for (int pass = 0; pass < passes; pass++) {
      Lanes lanes;
      FillLanes(lanes, call, sample, pass);
      for (int y = y_begin; y < y_end; y++) {
        const Row row = RowAt(call, sample, y, pass);
        PrefetchNext(sample, row, y + 1);
        const Cut inside = BlocksInside(sample, row);
        const Cut cut = CutOfRow(sample, y);
        if (kStream && IsWholeLines(row, sample.width))
          WriteRow<true>(row, lanes, sample, cut, inside);
        else
          WriteRow<false>(row, lanes, sample, cut, inside);
      }
    }
    if (kIn == 1) ZeroPlanes(call, sample, y_begin, y_end);
  }

  static void FillLanes(Lanes &lanes, const Call &call, const CpuSample &sample, int pass) {
    const Blend *blends = call.blends + static_cast<ptrdiff_t>(sample.index) * call.channels + pass;
    for (int v = 0; v < G::kVectors; v++) {
      for (int i = 0; i < V::kFloats; i++) {
        const int channel = kPlanar ? v : (v * V::kFloats + i) % kOut;
        const bool padding = channel >= kIn;
        const Single single = padding ? Single{0, 0} : call.singles[pass + channel];
        Blend blend = padding ? Blend{0, 0} : blends[channel];
        // The bytes are finite, so a weight of 0 leaves the other image's value to the bit.
        if (sample.outside == Shows::kOwn) blend = {single.k, 0};
        if (sample.outside == Shows::kPartner) blend = {0, single.k};
        lanes.k.of[v][i] = single.k;
        lanes.s.of[v][i] = single.s;
        lanes.own.of[v][i] = blend.own;
        lanes.partner.of[v][i] = blend.partner;
      }
    }
  }

  static const uint8_t *SourceRow(const Source &source, int y, int pass) {
    return static_cast<const uint8_t *>(source.origin) + static_cast<ptrdiff_t>(y) * source.row +
           static_cast<ptrdiff_t>(pass) * source.channel;
  }

  static Row RowAt(const Call &call, const CpuSample &sample, int y, int pass) {
    const ptrdiff_t width = sample.width, plane = width * sample.height;
    const ptrdiff_t offset = kPlanar ? pass * plane + y * width : y * width * call.out_channels;
    return {SourceRow(sample.own, y, pass),
            SourceRow(sample.partner, y, pass),
            sample.own.column < 0,
            sample.partner.column < 0,
            static_cast<Out *>(sample.out) + offset,
            plane};
  }

  // Asks for what the next row reads where it is read backwards, which the processor's own
  // prefetcher does not foresee. Always inlined: g++ takes a function that only prefetches for one
  // without effect, and drops the call.
  MIX_HD static void PrefetchNext(const CpuSample &sample, const Row &row, int next_y) {
    const Cut all = {0, sample.width};
    if (sample.outside != Shows::kPartner) PrefetchColumns(sample.own, row.own, all);
    PrefetchColumns(sample.partner, row.partner,
                    sample.outside == Shows::kOwn ? CutOfRow(sample, next_y) : all);
  }

  MIX_HD static void PrefetchColumns(const Source &source, const uint8_t *pixel, Cut columns) {
    if (source.column > 0) return;
    const uint8_t *at =
        pixel + source.row + static_cast<ptrdiff_t>(columns.end - 1) * source.column;
    const ptrdiff_t bytes = static_cast<ptrdiff_t>(columns.end - columns.begin) * kIn;
    for (ptrdiff_t i = 0; i < bytes; i += 64) __builtin_prefetch(at + i);
  }

  // The whole blocks whose vector loads stay in the images: all but the first or last of a row at
  // an end of an image's memory.
  static Cut BlocksInside(const CpuSample &sample, const Row &row) {
    constexpr int kSlack = 16;
    Cut inside = {0, sample.width - sample.width % kBlock};
    const auto keep = [&](const Bytes &bytes, const uint8_t *pixel, bool mirrored) {
      const ptrdiff_t reach = static_cast<ptrdiff_t>(inside.end) * kIn;
      const uint8_t *lowest = mirrored ? pixel + kIn - reach : pixel;
      const bool low = lowest >= bytes.begin + kSlack;
      const bool high = lowest + reach + kSlack <= bytes.end;
      if (!(mirrored ? high : low)) inside.begin = kBlock;
      if (!(mirrored ? low : high)) inside.end -= kBlock;
    };
    keep(sample.own_bytes, row.own, row.own_mirrored);
    keep(sample.partner_bytes, row.partner, row.partner_mirrored);
    return inside;
  }

  // Stores around the cache pay only for whole cache lines.
  static bool IsWholeLines(const Row &row, int width) {
    const auto bytes = static_cast<uintptr_t>(width) * (kPlanar ? 1 : kOut) * sizeof(Out);
    const auto plane = static_cast<uintptr_t>(kPlanar ? row.plane * sizeof(Out) : 0);
    return (reinterpret_cast<uintptr_t>(row.out) | bytes | plane) % 64 == 0;
  }

  static Mode ModeOf(Shows shows) {
    return shows == Shows::kOwn ? Mode::kOwn
                                : (shows == Shows::kPartner ? Mode::kPartner : Mode::kBoth);
  }

  template <bool kStream>
  static void WriteRow(const Row &row, const Lanes &lanes, const CpuSample &sample, Cut cut,
                       Cut inside) {
    const Mode outside = ModeOf(sample.outside);
    // Blocks that an edge of the box crosses are cut; between them each run has one mode.
    const int begin = cut.begin / kBlock * kBlock, end = cut.end / kBlock * kBlock;
    int x = 0;
    const auto bounce = [&](int limit) {
      for (; x < limit; x += kBlock)
        BounceBlock(row, lanes, cut, x, sample.width - x < kBlock ? sample.width - x : kBlock);
    };
    const auto until = [&](int limit, Mode mode) {
      limit = limit < inside.end ? limit : inside.end;
      if (x < limit) WriteRun<kStream>(row, lanes, cut, mode, x, limit);
      x = x < limit ? limit : x;
    };
    bounce(inside.begin < sample.width ? inside.begin : sample.width);
    if (cut.begin < cut.end) {
      until(begin, outside);
      until(begin + (cut.begin > begin || begin == end ? kBlock : 0), Mode::kCut);
      until(end, Mode::kPartner);
      until(end + (cut.end > end ? kBlock : 0), Mode::kCut);
    }
    until(inside.end, outside);
    bounce(sample.width);
  }

  template <bool kStream>
  static void WriteRun(const Row &row, const Lanes &lanes, Cut cut, Mode mode, int begin, int end) {
    Cursor<G> own(row.own, row.own_mirrored), partner(row.partner, row.partner_mirrored);
    own.SkipGroups(begin / V::kFloats);
    partner.SkipGroups(begin / V::kFloats);
    Out *out = row.out + static_cast<ptrdiff_t>(begin) * (kPlanar ? 1 : kOut);
    const int count = (end - begin) / kBlock;
    const Cut ahead = {cut.begin - begin, cut.end - begin};
    const auto write = [&]<Block kShown>(const Cursor<G> &shown) MIX_INLINE {
      B::template Write<kShown, kStream>(own, shown, out, row.plane, lanes, ahead, count);
    };
    switch (mode) {
      case Mode::kOwn:
        return write.template operator()<Block::kOne>(own);
      case Mode::kPartner:
        return write.template operator()<Block::kOne>(partner);
      case Mode::kBoth:
        return write.template operator()<Block::kBoth>(partner);
      case Mode::kCut:
        return write.template operator()<Block::kCut>(partner);
    }
  }

  // `count` pixels from x, read and written through buffers.
  static void BounceBlock(const Row &row, const Lanes &lanes, Cut cut, int x, int count) {
    constexpr int kBytes = kBlock * kIn, kSlack = 16;
    uint8_t own[kBytes + 2 * kSlack] = {}, partner[kBytes + 2 * kSlack] = {};
    Cursor<G> own_cursor(Bounce(own + kSlack, row.own, row.own_mirrored, x, count),
                         row.own_mirrored);
    Cursor<G> partner_cursor(Bounce(partner + kSlack, row.partner, row.partner_mirrored, x, count),
                             row.partner_mirrored);
    alignas(64) Out out[kBlock * kOut];
    B::template Write<Block::kCut, false>(own_cursor, partner_cursor, out, kBlock, lanes,
                                          {cut.begin - x, cut.end - x}, 1);
    if (kPlanar) {
      for (int v = 0; v < kOut; v++)
        __builtin_memcpy(row.out + v * row.plane + x, out + v * kBlock, count * sizeof(Out));
    } else {
      __builtin_memcpy(row.out + static_cast<ptrdiff_t>(x) * kOut, out, count * kOut * sizeof(Out));
    }
  }

  // Copies pixels [x, x + count) of the output's row and returns where pixel x lies in `buffer`.
  static const uint8_t *Bounce(uint8_t *buffer, const uint8_t *pixel, bool mirrored, int x,
                               int count) {
    if (!mirrored) {
      __builtin_memcpy(buffer, pixel + static_cast<ptrdiff_t>(x) * kIn, count * kIn);
      return buffer;
    }
    uint8_t *at = buffer + (kBlock - count) * kIn;
    __builtin_memcpy(at, pixel - static_cast<ptrdiff_t>(x + count - 1) * kIn, count * kIn);
    return buffer + (kBlock - 1) * kIn;
  }

  static void ZeroPlanes(const Call &call, const CpuSample &sample, int y_begin, int y_end) {
    const ptrdiff_t width = sample.width, plane = width * sample.height;
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
  }
  return nullptr;
}
