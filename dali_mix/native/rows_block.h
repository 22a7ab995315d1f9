// Blocks of pixels: windows to floats to one store run. Included by each rows_*.cc inside its own
// namespace, after rows_windows.h.

// Calls f(0) … f(count - 1), each argument known at compile time: arrays so indexed stay in
// registers, whatever the compiler thinks of a loop.
#define MIX_INLINE __attribute__((always_inline))
template <int kCount, typename F>
MIX_HD void Unroll(F &&f) {
  [&]<int... kIndex>(std::integer_sequence<int, kIndex...>) MIX_INLINE {
    (f(std::integral_constant<int, kIndex>{}), ...);
  }(std::make_integer_sequence<int, kCount>{});
}

// What shows in a block: one image, both, or the partner between the edges of a cut and what `own`
// and `partner` weigh elsewhere.
enum class Block { kOne, kBoth, kCut };

// Coefficients laid out like the floats of a group.
template <int kVectors>
struct Coefficients {
  struct Lanes {
    alignas(64) float of[kVectors][V::kFloats];
  };
  // `k`, `s`: one image shows. `own`, `partner`: weights outside the box, whatever shows there.
  Lanes k, s, own, partner;
};

// Those of one vector, in registers.
template <Block kBlock>
struct Weights {
  typename V::F k, s, own, partner;

  template <class Lanes>
  MIX_HD Weights(const Lanes &lanes, int v) : s(V::Load(lanes.s.of[v])) {
    if constexpr (kBlock != Block::kBoth) k = V::Load(lanes.k.of[v]);
    if constexpr (kBlock != Block::kOne) {
      own = V::Load(lanes.own.of[v]);
      partner = V::Load(lanes.partner.of[v]);
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

  // `count` blocks. Where one image shows, it is `partner`. The cut is that of the first block.
  template <Block kBlock, bool kStream>
  static void Write(Cursor<G> own, Cursor<G> partner, Out *out, ptrdiff_t plane, const Lanes &lanes,
                    Cut cut, int count) {
    // Interleaved: the compiler could not know that the stores leave the coefficients alone.
    Weights<kBlock> weights[kPlanar ? 1 : G::kVectors];
    if constexpr (!kPlanar)
      Unroll<G::kVectors>([&](auto v) MIX_INLINE { weights[v] = Weights<kBlock>(lanes, v); });
    for (; count > 0; count--) {
      if constexpr (kPlanar)
        WritePlanar<kBlock, kStream>(own, partner, out, plane, lanes, cut);
      else
        WriteInterleaved<kBlock, kStream>(own, partner, out, weights, cut);
      own.SkipGroups(kGroups);
      partner.SkipGroups(kGroups);
      out += kPixels * (kPlanar ? 1 : kOut);
      cut = {cut.begin - kPixels, cut.end - kPixels};
    }
  }

 private:
  using F = typename V::F;

  // The windows of all groups stay in registers while one channel after the other is picked.
  template <Block kBlock, bool kStream>
  MIX_HD static void WritePlanar(const Cursor<G> &own, const Cursor<G> &partner, Out *out,
                                 ptrdiff_t plane, const Lanes &lanes, Cut cut) {
    typename V::Window a[kGroups] = {}, b[kGroups];
    Unroll<kGroups>([&](auto g) MIX_INLINE {
      if constexpr (kBlock != Block::kOne) a[g] = own.template Window<0>(g);
      b[g] = partner.template Window<0>(g);
    });
    Unroll<G::kVectors>([&](auto v) MIX_INLINE {
      const Weights<kBlock> weights(lanes, v);
      F run[kGroups];
      Unroll<kGroups>([&](auto g) MIX_INLINE {
        F x = {};
        if constexpr (kBlock != Block::kOne) x = V::Pick(a[g], own.picks->bytes[v]);
        run[g] = Value<kBlock, v>(x, V::Pick(b[g], partner.picks->bytes[v]), weights, cut, g);
      });
      V::template Store<kStream>(out + v * plane, run);
    });
  }

  template <Block kBlock, bool kStream>
  MIX_HD static void WriteInterleaved(const Cursor<G> &own, const Cursor<G> &partner, Out *out,
                                      const Weights<kBlock> (&weights)[G::kVectors], Cut cut) {
    F run[kGroups];
    Unroll<G::kVectors * kGroups>([&](auto n) MIX_INLINE {
      constexpr int v = n % G::kVectors, group = n / G::kVectors;
      F x = {};
      if constexpr (kBlock != Block::kOne) x = own.template Floats<v>(group);
      run[n % kGroups] =
          Value<kBlock, v>(x, partner.template Floats<v>(group), weights[v], cut, group);
      if constexpr (n % kGroups == kGroups - 1)
        V::template Store<kStream>(out + (n - n % kGroups) * V::kFloats, run);
    });
  }

  template <Block kBlock, int kVector>
  MIX_HD static F Value(F own, F partner, const Weights<kBlock> &weights, Cut cut, int group) {
    if constexpr (kBlock == Block::kOne) return V::Fma(partner, weights.k, weights.s);
    const F both = V::Fma(own, weights.own, V::Fma(partner, weights.partner, weights.s));
    if constexpr (kBlock == Block::kBoth) return both;
    const int x = group * V::kFloats;
    return V::Select(G::kPixels.index[kVector], cut.begin - x, cut.end - x,
                     V::Fma(partner, weights.k, weights.s), both);
  }
};
