// Blocks of pixels: windows to floats to one store run. Included by each rows_*.cc inside its base
// namespace, after rows_windows.h.

// What shows in a block: one image; a blend; or the inset image where bits are 1, and where they
// are 0 what `base` and `inset` weigh.
enum class Block { kOne, kBlend, kBits };

// Coefficients laid out like the floats of each pattern.
template <int kPatterns>
struct Coefficients {
  struct Lanes {
    alignas(64) float of[kPatterns][V::kFloats];
  };
  // `k`, `s`: one image shows. `base`, `inset`: weights of both where bits are 0.
  Lanes k, s, base, inset;
};

// Those of one pattern, in registers.
template <Block kBlock>
struct Weights {
  typename V::F k, s, base, inset;

  template <class Lanes>
  MIX_HD Weights(const Lanes &lanes, int pattern) : s(V::Load(lanes.s.of[pattern])) {
    if constexpr (kBlock != Block::kBlend) k = V::Load(lanes.k.of[pattern]);
    if constexpr (kBlock != Block::kOne) {
      base = V::Load(lanes.base.of[pattern]);
      inset = V::Load(lanes.inset.of[pattern]);
    }
  }
  Weights() = default;
};

template <typename Out, int kIn, int kOut, bool kPlanar>
class Blocks {
 public:
  static constexpr Order kOrder =
      kPlanar ? Order::kPlanar : (sizeof(Out) == 1 ? Order::kFourths : Order::kInterleaved);
  using G = Geometry<kIn, kOut, kOrder>;
  using Lanes = Coefficients<G::kPatterns>;
  static constexpr int kRun = V::kRun;               // vectors of a store run
  static constexpr int kPixels = kRun * V::kFloats;  // per block

  // Where blocks go.
  struct Target {
    Out *at;
    ptrdiff_t row, plane;  // to the next row; planar: to the next channel; in elements
  };

  // `rows` rows of `count` blocks, of which the last begins `back` pixels before the end of the one
  // before it. Where one image shows, it is `inset`. `bits`: those of each block.
  template <Block kBlock, bool kStream>
  MIX_HD static void Write(Cursor<G> base, Cursor<G> inset, Target out, const Lanes &lanes,
                           uint64_t bits, int rows, int count, int back) {
    // Interleaved: the compiler could not know that the stores leave the coefficients alone.
    Weights<kBlock> weights[kShares ? 1 : G::kPatterns];
    if constexpr (!kShares)
      Unroll<G::kPatterns>([&](auto p) MIX_INLINE { weights[p] = Weights<kBlock>(lanes, p); });
    for (; rows > 0; rows--) {
      if constexpr (kBlock != Block::kOne) base.PrefetchNextRow(count * kPixels);
      inset.PrefetchNextRow(count * kPixels);
      Cursor<G> a = base, b = inset;
      Out *at = out.at;
      for (int block = 0; block < count; block++) {
        if constexpr (kShares)
          WritePlanar<kBlock, kStream>(a, b, at, out.plane, lanes, bits);
        else
          WriteInterleaved<kBlock, kStream>(a, b, at, weights, bits);
        const ptrdiff_t step = kPixels - (block == count - 2 ? back : 0);
        a.Skip(step);
        b.Skip(step);
        at += step * (kPlanar ? 1 : kOut);
      }
      base.SkipRow();
      inset.SkipRow();
      out.at += out.row;
    }
  }

 private:
  using F = typename V::F;
  // Whether the channels of a block are picked from the same windows. A single plane is read as
  // interleaved values are.
  static constexpr bool kShares = kPlanar && !G::kConsecutive;

  // The windows of all vectors stay in registers while one channel after the other is picked.
  template <Block kBlock, bool kStream>
  MIX_HD static void WritePlanar(const Cursor<G> &base, const Cursor<G> &inset, Out *out,
                                 ptrdiff_t plane, const Lanes &lanes, uint64_t bits) {
    typename V::Window a[kRun] = {}, b[kRun];
    Unroll<kRun>([&](auto i) MIX_INLINE {
      if constexpr (kBlock != Block::kOne) a[i] = base.template Window<0>(i * V::kFloats);
      b[i] = inset.template Window<0>(i * V::kFloats);
    });
    Unroll<kOut>([&](auto c) MIX_INLINE {
      const Weights<kBlock> weights(lanes, c);
      F run[kRun];
      Unroll<kRun>([&](auto i) MIX_INLINE {
        F x = {};
        if constexpr (kBlock != Block::kOne) x = V::Pick(a[i], base.picks->bytes[c][0]);
        const F y = V::Pick(b[i], inset.picks->bytes[c][0]);
        run[i] = Value<kBlock, c>(x, y, weights, bits >> i * V::kFloats);
      });
      V::template Store<kStream>(out + c * plane, run);
    });
  }

  template <Block kBlock, bool kStream>
  MIX_HD static void WriteInterleaved(const Cursor<G> &base, const Cursor<G> &inset, Out *out,
                                      const Weights<kBlock> (&weights)[G::kPatterns],
                                      uint64_t bits) {
    Unroll<kOut>([&](auto r) MIX_INLINE {
      F x[kRun] = {}, run[kRun];
      if constexpr (kBlock != Block::kOne) base.template Run<r>(x);
      inset.template Run<r>(run);
      Unroll<kRun>([&](auto i) MIX_INLINE {
        constexpr int first = G::First(r * kRun + i), p = first % kOut;
        run[i] = Value<kBlock, p>(x[i], run[i], weights[p], bits >> first / kOut);
      });
      Out *at = out + r * kRun * V::kFloats;
      if constexpr (G::kFourths)
        V::template StoreFourths<kStream>(at, run);
      else
        V::template Store<kStream>(at, run);
    });
  }

  // `bits`: those from the pixel of the first float on.
  template <Block kBlock, int kPattern>
  MIX_HD static F Value(F base, F inset, const Weights<kBlock> &weights, uint64_t bits) {
    if constexpr (kBlock == Block::kOne) return V::Fma(inset, weights.k, weights.s);
    const F both = V::Fma(base, weights.base, V::Fma(inset, weights.inset, weights.s));
    if constexpr (kBlock == Block::kBlend) return both;
    return V::Select(G::kPixels.index[kPattern], static_cast<uint32_t>(bits),
                     V::Fma(inset, weights.k, weights.s), both);
  }
};
