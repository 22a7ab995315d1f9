// How the vector loops read: windows of input bytes and the shuffles that turn them into floats.
// Included by each rows_*.cc inside its own namespace, after a `V` that wraps the instruction set.
//
// A vector holds V::kFloats floats of a group of as many pixels: one channel of each (planar), or
// consecutive values (interleaved). Consecutive bytes are widened as they are loaded. Others are
// picked from a window, 16 bytes for each 128-bit lane, by a shuffle that widens too.

// Calls f(0) … f(count - 1), each argument known at compile time: arrays so indexed stay in
// registers, whatever the compiler thinks of a loop.
#define MIX_INLINE __attribute__((always_inline))
template <int kCount, typename F>
MIX_HD void Unroll(F &&f) {
  [&]<int... kIndex>(std::integer_sequence<int, kIndex...>) MIX_INLINE {
    (f(std::integral_constant<int, kIndex>{}), ...);
  }(std::make_integer_sequence<int, kCount>{});
}

template <int kIn, int kOut, bool kPlanar>
struct Geometry {
  static constexpr int kVectors = kOut;  // per group, in both layouts
  static constexpr int kPixelBytes = kIn;
  static constexpr int kGroupBytes = V::kFloats * kIn;
  // Whether the floats of an image that is not mirrored are consecutive bytes.
  static constexpr bool kConsecutive = kIn == kOut && (!kPlanar || kIn == 1);

  // Bytes that loads may reach beyond the pixels of their block, to either side, at most.
  static constexpr int kSlack = 16;
  static constexpr int Slack(bool mirrored) { return kConsecutive && !mirrored ? 0 : kSlack; }

  // Which pixel of the group float `i` of vector `v` belongs to, and which of its channels.
  static constexpr int Pixel(int v, int i) { return kPlanar ? i : (v * V::kFloats + i) / kOut; }
  static constexpr int Channel(int v, int i) { return kPlanar ? v : (v * V::kFloats + i) % kOut; }

  // From the group's first pixel to the byte behind the float.
  static constexpr int Offset(bool mirrored, int v, int i) {
    return (mirrored ? -1 : 1) * Pixel(v, i) * kIn + Channel(v, i);
  }

  // From the group's first pixel to the window of each lane. Planar: all vectors share the windows.
  static constexpr V::Starts StartsOf(bool mirrored, int v) {
    V::Starts starts = {};
    int low = Offset(mirrored, v, 0), high = low;
    for (int lane = 0; lane < V::kLanes; lane++) {
      starts[lane] = kGroupBytes;
      for (int i = 4 * lane; i < 4 * lane + 4; i++) {
        for (int u = kPlanar ? 0 : v; u < (kPlanar ? kIn : v + 1); u++) {
          if (Channel(u, i) >= kIn) continue;
          const int offset = Offset(mirrored, u, i);
          starts[lane] = offset < starts[lane] ? offset : starts[lane];
          low = offset < low ? offset : low;
          high = offset > high ? offset : high;
        }
      }
    }
    // One window for all lanes, or windows whole fours apart, as a shuffle of integers takes them.
    for (int &start : starts) start = high - low < 16 ? low : low + (start - low) / 4 * 4;
    return V::Place(starts);
  }
  template <bool kMirrored, int kVector>
  static constexpr V::Starts kStarts = StartsOf(kMirrored, kVector);

  // Shuffle controls: byte 4*j of a lane is the window byte behind its j-th float; 0x80 gives 0.
  struct Picks {
    alignas(64) uint8_t bytes[kVectors][4 * V::kFloats];
  };
  static constexpr Picks MakePicks(bool mirrored) {
    Picks picks = {};
    for (int v = 0; v < kVectors; v++) {
      const V::Starts starts = StartsOf(mirrored, v);
      for (int i = 0; i < V::kFloats; i++) {
        for (int byte = 0; byte < 4; byte++) picks.bytes[v][4 * i + byte] = 0x80;
        if (Channel(v, i) < kIn)
          picks.bytes[v][4 * i] = static_cast<uint8_t>(Offset(mirrored, v, i) - starts[i / 4]);
      }
    }
    return picks;
  }
  static constexpr Picks kPlain = MakePicks(false), kMirrored = MakePicks(true);

  // Which pixel of the group each float belongs to.
  struct Pixels {
    alignas(64) int index[kVectors][V::kFloats];
  };
  static constexpr Pixels MakePixels() {
    Pixels pixels = {};
    for (int v = 0; v < kVectors; v++)
      for (int i = 0; i < V::kFloats; i++) pixels.index[v][i] = Pixel(v, i);
    return pixels;
  }
  static constexpr Pixels kPixels = MakePixels();
};

// Source rows being read from left to right of the output. Whether they are mirrored is asked for
// each window: the processor foresees the answer, and one loop serves all rows.
template <class G>
struct Cursor {
  const uint8_t *at;  // the first pixel of the next group
  ptrdiff_t row;      // bytes to the next row
  bool mirrored;
  const typename G::Picks *picks;

  Cursor(const uint8_t *pixel, ptrdiff_t row, bool mirrored)
      : at(pixel), row(row), mirrored(mirrored), picks(mirrored ? &G::kMirrored : &G::kPlain) {}

  MIX_HD void SkipGroups(ptrdiff_t groups) { at += (mirrored ? -groups : groups) * G::kGroupBytes; }
  MIX_HD void SkipRow() { at += row; }

  // Asks for groups of the next row where it is read backwards, which the processor's own
  // prefetcher does not foresee. Always inlined: g++ takes a function that only prefetches for one
  // without effect, and drops the call.
  MIX_HD void PrefetchNextRow(ptrdiff_t groups) const {
    if (!mirrored) return;
    const uint8_t *end = at + row + G::kPixelBytes;
    for (const uint8_t *line = end - groups * G::kGroupBytes; line < end; line += 64)
      __builtin_prefetch(line);
  }

  // The window of vector `kVector` of a group ahead.
  template <int kVector>
  MIX_HD typename V::Window Window(int group) const {
    const int ahead = group * G::kGroupBytes;
    if (mirrored) return V::template Load<G::template kStarts<true, kVector>>(at - ahead);
    return V::template Load<G::template kStarts<false, kVector>>(at + ahead);
  }

  // The vectors of a store run, of which `kFirst` is the first of its block.
  template <int kFirst>
  MIX_HD void Run(typename V::F (&floats)[V::kGroups]) const {
    if (G::kConsecutive && !mirrored) return V::Widen(at + kFirst * V::kFloats, floats);
    Unroll<V::kGroups>([&](auto i) MIX_INLINE {
      constexpr int v = (kFirst + i) % G::kVectors, group = (kFirst + i) / G::kVectors;
      floats[i] = V::Pick(Window<v>(group), picks->bytes[v]);
    });
  }
};
