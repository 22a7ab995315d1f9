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
    case Shows::kBoth:
      return BlendRun(run, blend, single.s, begin, end);
  }
}

template <typename In>
inline const In *RowOf(const Source &source, int y, int channel) {
  return static_cast<const In *>(source.origin) + static_cast<ptrdiff_t>(y) * source.row +
         static_cast<ptrdiff_t>(channel) * source.channel;
}

template <typename In, typename Out>
void GenericRows(const Call &call, const CpuSample &sample, int y_begin, int y_end) {
  const ptrdiff_t width = sample.width;
  const ptrdiff_t out_row = call.planar ? width : width * call.out_channels;
  const ptrdiff_t out_channel = call.planar ? width * sample.height : 1;
  const int out_step = call.planar ? 1 : call.out_channels;
  const Blend *blends = call.blends + static_cast<ptrdiff_t>(sample.index) * call.channels;
  for (int y = y_begin; y < y_end; y++) {
    const Cut cut = CutOfRow(sample, y);
    for (int c = 0; c < call.out_channels; c++) {
      Out *out = static_cast<Out *>(sample.out) + y * out_row + c * out_channel;
      if (c >= call.channels) {
        for (int x = 0; x < sample.width; x++)
          out[static_cast<ptrdiff_t>(x) * out_step] = Narrow<Out>(0.0f);
        continue;
      }
      const Run<In, Out> run = {RowOf<In>(sample.own, y, c),
                                RowOf<In>(sample.partner, y, c),
                                sample.own.column,
                                sample.partner.column,
                                out,
                                out_step};
      const Single single = call.singles[c];
      OutsideRun(run, sample.outside, single, blends[c], 0, cut.begin);
      SingleRun(run, run.partner, run.partner_step, single, cut.begin, cut.end);
      OutsideRun(run, sample.outside, single, blends[c], cut.end, sample.width);
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
  }
  return nullptr;
}
