// Any input type, any strides, any number of channels, any layers. Included by each rows_*.cc
// inside its own namespace.
//
// Pixels that show alike are written in pieces, one channel after the other: the loops over a piece
// are simple enough for a compiler to make vectors of them.

constexpr int kPiece = 64;  // pixels

// How pixels come about: as an image (its index), as the blend (kBlended), or as a blend by the
// weights of a soft mask.
constexpr int kSoft = -2;
static_assert(kSoft != kBlended);

inline int KindAt(const Layered &sample, int y, int x) {
  const Shown shown = ShownAt(sample, y, x);
  return shown.image == kBlended && shown.level < 255 ? kSoft : shown.image;
}

// Until where, at most, the pixels from x on are of the same kind as x.
inline int EndOfKind(const Layered &sample, int kind, int y, int x, int end) {
  if (sample.Masked()) {
    for (x++; x < end && KindAt(sample, y, x) == kind;) x++;
    return x;
  }
  for (int b = 0; b < sample.Boxes(); b++) {
    const Box &box = sample.BoxAt(b);
    if (y < box.y0 || y >= box.y1) continue;
    for (const int edge : {box.x0, box.x1})
      if (x < edge && edge < end) end = edge;
  }
  return end;
}

// Calls f with the step, as a constant where it is a common one.
template <typename F>
inline void WithStep(ptrdiff_t step, F &&f) {
  switch (step) {
    case 1:
      return f(std::integral_constant<ptrdiff_t, 1>{});
    case 3:
      return f(std::integral_constant<ptrdiff_t, 3>{});
    case -3:
      return f(std::integral_constant<ptrdiff_t, -3>{});
    default:
      return f(step);
  }
}

// Pixels of one kind.
struct Piece {
  int kind, y, x, count;
};

template <typename In, typename Out>
class Pieces {
 public:
  Pieces(const Call &call, const CpuSample &sample)
      : call_(call), sample_(sample), weights_(WeightsOf(call, sample.index)) {}

  void Write(const Piece &piece) const {
    double own[kPiece];  // weights
    if (piece.kind == kSoft) SoftWeights(piece, own);
    for (int c = 0; c < call_.out_channels; c++) {
      if (c >= call_.channels) {
        Store(piece, c, [](int) { return Out{}; });
      } else if constexpr (kIsCopied<In>) {
        Copy(piece, c);
      } else {
        float values[kPiece];
        Compute(piece, own, c, values);
        Store(piece, c, [&](int i) { return Narrow<Out>(values[i]); });
      }
    }
  }

 private:
  using Values = float[kPiece];

  void SoftWeights(const Piece &piece, double (&own)[kPiece]) const {
    uint8_t levels[kPiece];
    for (int i = 0; i < piece.count; i++) levels[i] = MaskAt(sample_, piece.y, piece.x + i);
    const float blend = sample_.more->blend;
    for (int i = 0; i < piece.count; i++) own[i] = SoftWeight(blend, levels[i]);
  }

  void Compute(const Piece &piece, const double (&own)[kPiece], int c, Values &values) const {
    const Single single = call_.singles[c];
    Values image;
    if (piece.kind >= 0) {
      Load(piece, piece.kind, c, image);
      for (int i = 0; i < piece.count; i++) values[i] = NormalizePixel(image[i], single);
    } else if (piece.kind == kSoft) {
      Values other;
      Load(piece, 0, c, image);
      Load(piece, 1, c, other);
      const double factor = call_.factors[c];
      for (int i = 0; i < piece.count; i++)
        values[i] = BlendPixel(image[i], other[i], BlendOf(factor, own[i]), single.s);
    } else {
      for (int i = 0; i < piece.count; i++) values[i] = single.s;
      for (int k = sample_.Images() - 1; k >= 0; k--) {
        const float weight = weights_[c * call_.images + k];
        if (weight == 0) continue;  // the image may not even be there
        Load(piece, k, c, image);
        for (int i = 0; i < piece.count; i++) values[i] = Fma(image[i], weight, values[i]);
      }
    }
  }

  void Copy(const Piece &piece, int c) const {
    const Source source = sample_.Image(piece.kind < 0 ? sample_.more->copied : piece.kind);
    const In *at = PixelAt<In>(source, piece.y, piece.x, c);
    Store(piece, c, [&](int i) { return at[static_cast<ptrdiff_t>(i) * source.column]; });
  }

  void Load(const Piece &piece, int k, int c, Values &values) const {
    const Source source = sample_.Image(k);
    const In *at = PixelAt<In>(source, piece.y, piece.x, c);
    WithStep(source.column, [&](auto step) {
      for (int i = 0; i < piece.count; i++) values[i] = Widen(at[i * step]);
    });
  }

  template <typename ValueOf>
  void Store(const Piece &piece, int c, ValueOf &&value) const {
    const ptrdiff_t step = call_.planar ? 1 : call_.out_channels;
    const ptrdiff_t pixel = static_cast<ptrdiff_t>(piece.y) * sample_.width + piece.x;
    const ptrdiff_t channel = call_.planar ? sample_.plane : 1;
    Out *at = static_cast<Out *>(sample_.out) + pixel * step + c * channel;
    WithStep(step, [&](auto constant) {
      for (int i = 0; i < piece.count; i++) at[i * constant] = value(i);
    });
  }

  const Call &call_;
  const CpuSample &sample_;
  const float *weights_;
};

// Columns [begin, end) of a row.
template <typename In, typename Out>
inline void WritePixels(const Call &call, const CpuSample &sample, int y, int begin, int end) {
  const Pieces<In, Out> pieces(call, sample);
  for (int x = begin; x < end;) {
    const int kind = KindAt(sample, y, x);
    const int edge = EndOfKind(sample, kind, y, x, x + kPiece < end ? x + kPiece : end);
    pieces.Write({kind, y, x, edge - x});
    x = edge;
  }
}

template <typename In, typename Out>
void GenericRows(const Call &call, const CpuSample &sample, int y_begin, int y_end) {
  for (int y = y_begin; y < y_end; y++) WritePixels<In, Out>(call, sample, y, 0, sample.width);
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
      return GenericRows<Copied<uint8_t>, Copied<uint8_t>>;
    case InType::kCopied2:
      return GenericRows<Copied<uint16_t>, Copied<uint16_t>>;
    case InType::kCopied4:
      return GenericRows<Copied<uint32_t>, Copied<uint32_t>>;
    case InType::kCopied8:
      return GenericRows<Copied<uint64_t>, Copied<uint64_t>>;
  }
  return nullptr;
}
