// Any input type, any strides, any number of channels: one value at a time. Included by each
// rows_*.cc inside its own namespace.

// One channel of one run of a row. `In` strides are those of the sources; `Out` stride is given.
template <typename In, typename Out>
struct Run {
  const In *own, *partner;  // at column 0 of the row
  int own_step, partner_step;
  Out *out;
  int out_step;
};

template <typename In, typename Out>
inline void SingleRun(const Run<In, Out> &run, const In *source, int step, Single single, int begin,
                      int end) {
  if (step == 1 && run.out_step == 1) {
    for (int x = begin; x < end; x++) run.out[x] = Narrow<Out>(NormalizePixel(source[x], single));
  } else {
    for (int x = begin; x < end; x++)
      run.out[static_cast<ptrdiff_t>(x) * run.out_step] =
          Narrow<Out>(NormalizePixel(source[static_cast<ptrdiff_t>(x) * step], single));
  }
}

template <typename In, typename Out>
inline void BlendRun(const Run<In, Out> &run, Blend blend, float s, int begin, int end) {
  if (run.own_step == 1 && run.partner_step == 1 && run.out_step == 1) {
    for (int x = begin; x < end; x++)
      run.out[x] = Narrow<Out>(BlendPixel(run.own[x], run.partner[x], blend, s));
  } else {
    for (int x = begin; x < end; x++)
      run.out[static_cast<ptrdiff_t>(x) * run.out_step] = Narrow<Out>(
          BlendPixel(run.own[static_cast<ptrdiff_t>(x) * run.own_step],
                     run.partner[static_cast<ptrdiff_t>(x) * run.partner_step], blend, s));
  }
}

template <typename In, typename Out>
inline void OutsideRun(const Run<In, Out> &run, Shows shows, Single single, Blend blend, int begin,
                       int end) {
  switch (shows) {
    case Shows::kOwn:
      return SingleRun(run, run.own, run.own_step, single, begin, end);
    case Shows::kPartner:
      return SingleRun(run, run.partner, run.partner_step, single, begin, end);
    case Shows::kBlend:
      return BlendRun(run, blend, single.s, begin, end);
  }
}

// Where a row of the output lies.
template <typename Out>
struct OutRow {
  Out *row;
  ptrdiff_t step, channel;  // from one pixel, one channel to the next

  OutRow(const Call &call, const Layered &sample, int y)
      : row(static_cast<Out *>(sample.out) +
            static_cast<ptrdiff_t>(y) * sample.width * (call.planar ? 1 : call.out_channels)),
        step(call.planar ? 1 : call.out_channels),
        channel(call.planar ? sample.plane : 1) {}
  Out *At(int x, int c) const { return row + x * step + c * channel; }
};

// Columns [begin, end) of a row by the definition, pixel by pixel.
template <typename In, typename Out>
inline void WritePixels(const Call &call, const CpuSample &sample, int y, int begin, int end) {
  const OutRow<Out> out(call, sample, y);
  const float *weights = WeightsOf(call, sample.index);
  for (int x = begin; x < end; x++) {
    const Shown shown = ShownAt(sample, y, x);
    for (int c = 0; c < call.out_channels; c++)
      *out.At(x, c) =
          c < call.channels ? MixPixel<In, Out>(call, sample, weights, shown, y, x, c) : Out{};
  }
}

// Copied values, and samples with layers.
template <typename In, typename Out>
void PixelRows(const Call &call, const CpuSample &sample, int y_begin, int y_end) {
  for (int y = y_begin; y < y_end; y++) WritePixels<In, Out>(call, sample, y, 0, sample.width);
}

template <typename In, typename Out>
void GenericRows(const Call &call, const CpuSample &sample, int y_begin, int y_end) {
  if (sample.more) return PixelRows<In, Out>(call, sample, y_begin, y_end);
  const float *weights = WeightsOf(call, sample.index);
  for (int y = y_begin; y < y_end; y++) {
    const OutRow<Out> out(call, sample, y);
    const Cut cut = CutOfRow(sample, y);
    for (int c = 0; c < call.out_channels; c++) {
      if (c >= call.channels) {
        for (int x = 0; x < sample.width; x++) *out.At(x, c) = Out{};
        continue;
      }
      const Run<In, Out> run = {PixelAt<In>(sample.own, y, 0, c),
                                PixelAt<In>(sample.partner, y, 0, c),
                                sample.own.column,
                                sample.partner.column,
                                out.At(0, c),
                                static_cast<int>(out.step)};
      const Single single = call.singles[c];
      const Blend blend = {weights[c * call.images], weights[c * call.images + 1]};
      OutsideRun(run, sample.outside, single, blend, 0, cut.begin);
      SingleRun(run, run.partner, run.partner_step, single, cut.begin, cut.end);
      OutsideRun(run, sample.outside, single, blend, cut.end, sample.width);
    }
  }
}

template <typename In>
RowsFn SelectGeneric(OutType out) {
  switch (out) {
    case OutType::kFloat:
      return GenericRows<In, float>;
    case OutType::kHalf:
      return GenericRows<In, Half>;
    case OutType::kUint8:
      return GenericRows<In, uint8_t>;
    case OutType::kInt8:
      return GenericRows<In, int8_t>;
    case OutType::kCopied:
      return nullptr;
  }
  return nullptr;
}

inline RowsFn SelectGeneric(const RowsKey &key) {
  switch (key.in) {
    case InType::kUint8:
      return SelectGeneric<uint8_t>(key.out);
    case InType::kFloat:
      return SelectGeneric<float>(key.out);
    case InType::kHalf:
      return SelectGeneric<Half>(key.out);
    case InType::kCopied1:
      return PixelRows<Copied<uint8_t>, Copied<uint8_t>>;
    case InType::kCopied2:
      return PixelRows<Copied<uint16_t>, Copied<uint16_t>>;
    case InType::kCopied4:
      return PixelRows<Copied<uint32_t>, Copied<uint32_t>>;
    case InType::kCopied8:
      return PixelRows<Copied<uint64_t>, Copied<uint64_t>>;
  }
  return nullptr;
}
