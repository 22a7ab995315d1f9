// Blocks of pixels: windows to floats to one store run. Included by each rows_*.cc inside its base
// namespace, after rows_windows.h.

// What shows in a block: one image; a blend; or the inset image where bits are 1, and where they
// are 0 what `base` and `inset` weigh.
enum class Block { kOne, kBlend, kBits };

// Coefficients laid out like the floats of a group.
template <int kVectors>
struct Coefficients {
  struct Lanes {
    alignas(64) float of[kVectors][V::kFloats];
  };
  // `k`, `s`: one image shows. `base`, `inset`: weights of both where bits are 0.
  Lanes k, s, base, inset;
};

// Those of one vector, in registers.
template <Block kBlock>
struct Weights {
  typename V::F k, s, base, inset;

  template <class Lanes>
  MIX_HD Weights(const Lanes &lanes, int v) : s(V::Load(lanes.s.of[v])) {
    if constexpr (kBlock != Block::kBlend) k = V::Load(lanes.k.of[v]);
    if constexpr (kBlock != Block::kOne) {
      base = V::Load(lanes.base.of[v]);
      inset = V::Load(lanes.inset.of[v]);
    }
  }
  Weights() = default;
};

template <typename Out, int kIn, int kOut, bool kPlanar>
class Blocks {
 public:
  using G = Geometry<kIn, kOut, kPlanar>;
  using Lanes = Coefficients<G::kVectors>;
  static constexpr int kGroups = V::kGroups;            // per block
  static constexpr int kPixels = kGroups * V::kFloats;  // per block

  // Where blocks go.
  struct Target {
    Out *at;
    ptrdiff_t row, plane;  // to the next row; planar: to the next channel; in elements
  };

  // `rows` rows of `count` blocks. Where one image shows, it is `inset`. `bits`: those of each
  // block.
  template <Block kBlock, bool kStream>
  MIX_HD static void Write(Cursor<G> base, Cursor<G> inset, Target out, const Lanes &lanes,
                           uint64_t bits, int rows, int count) {
    // Interleaved: the compiler could not know that the stores leave the coefficients alone.
    Weights<kBlock> weights[kShares ? 1 : G::kVectors];
    if constexpr (!kShares)
      Unroll<G::kVectors>([&](auto v) MIX_INLINE { weights[v] = Weights<kBlock>(lanes, v); });
    for (; rows > 0; rows--) {
      if constexpr (kBlock != Block::kOne) base.PrefetchNextRow(count * kGroups);
      inset.PrefetchNextRow(count * kGroups);
      Cursor<G> a = base, b = inset;
      Out *at = out.at;
      for (int block = 0; block < count; block++) {
        if constexpr (kShares)
          WritePlanar<kBlock, kStream>(a, b, at, out.plane, lanes, bits);
        else
          WriteInterleaved<kBlock, kStream>(a, b, at, weights, bits);
        a.SkipGroups(kGroups);
        b.SkipGroups(kGroups);
        at += kPixels * (kPlanar ? 1 : kOut);
      }
      base.SkipRow();
      inset.SkipRow();
      out.at += out.row;
    }
  }

 private:
  using F = typename V::F;
  // Whether the channels of a group are picked from the same windows. A single plane is read as
  // interleaved values are.
  static constexpr bool kShares = kPlanar && !G::kConsecutive;

  // The windows of all groups stay in registers while one channel after the other is picked.
  template <Block kBlock, bool kStream>
  MIX_HD static void WritePlanar(const Cursor<G> &base, const Cursor<G> &inset, Out *out,
                                 ptrdiff_t plane, const Lanes &lanes, uint64_t bits) {
    typename V::Window a[kGroups] = {}, b[kGroups];
    Unroll<kGroups>([&](auto g) MIX_INLINE {
      if constexpr (kBlock != Block::kOne) a[g] = base.template Window<0>(g);
      b[g] = inset.template Window<0>(g);
    });
    Unroll<G::kVectors>([&](auto v) MIX_INLINE {
      const Weights<kBlock> weights(lanes, v);
      F run[kGroups];
      Unroll<kGroups>([&](auto g) MIX_INLINE {
        F x = {};
        if constexpr (kBlock != Block::kOne) x = V::Pick(a[g], base.picks->bytes[v]);
        run[g] = Value<kBlock, v>(x, V::Pick(b[g], inset.picks->bytes[v]), weights, bits, g);
      });
      V::template Store<kStream>(out + v * plane, run);
    });
  }

  template <Block kBlock, bool kStream>
  MIX_HD static void WriteInterleaved(const Cursor<G> &base, const Cursor<G> &inset, Out *out,
                                      const Weights<kBlock> (&weights)[G::kVectors],
                                      uint64_t bits) {
    Unroll<G::kVectors>([&](auto r) MIX_INLINE {
      constexpr int first = r * kGroups;
      F x[kGroups] = {}, run[kGroups];
      if constexpr (kBlock != Block::kOne) base.template Run<first>(x);
      inset.template Run<first>(run);
      Unroll<kGroups>([&](auto i) MIX_INLINE {
        constexpr int v = (first + i) % G::kVectors, group = (first + i) / G::kVectors;
        run[i] = Value<kBlock, v>(x[i], run[i], weights[v], bits, group);
      });
      V::template Store<kStream>(out + first * V::kFloats, run);
    });
  }

  template <Block kBlock, int kVector>
  MIX_HD static F Value(F base, F inset, const Weights<kBlock> &weights, uint64_t bits, int group) {
    if constexpr (kBlock == Block::kOne) return V::Fma(inset, weights.k, weights.s);
    const F both = V::Fma(base, weights.base, V::Fma(inset, weights.inset, weights.s));
    if constexpr (kBlock == Block::kBlend) return both;
    return V::Select(G::kPixels.index[kVector], static_cast<uint32_t>(bits >> group * V::kFloats),
                     V::Fma(inset, weights.k, weights.s), both);
  }
};
