// How the vector loops read: windows of input bytes and the shuffles that turn them into floats.
// Included by each rows_*.cc inside its own namespace, after a `V` that wraps the instruction set.
//
// Consecutive bytes are widened as they are loaded. Others are picked from a window, 16 bytes for
// each 128-bit lane, by a shuffle that widens too. Where the output is interleaved bytes, the input
// is brought into their order as bytes, and widened then.

// Calls f(0) … f(count - 1), each argument known at compile time: arrays so indexed stay in
// registers, whatever the compiler thinks of a loop.
#define MIX_INLINE __attribute__((always_inline))
template <int kCount, typename F>
MIX_HD void Unroll(F &&f) {
  [&]<int... kIndex>(std::integer_sequence<int, kIndex...>) MIX_INLINE {
    (f(std::integral_constant<int, kIndex>{}), ...);
  }(std::make_integer_sequence<int, kCount>{});
}

// What the floats of a vector are: one channel of consecutive pixels; consecutive values; or every
// fourth value, so that four vectors are narrowed to consecutive bytes without crossing lanes.
enum class Order { kPlanar, kInterleaved, kFourths };

template <int kIn, int kOut, Order kOrder>
struct Geometry {
  static_assert(V::kRun == 4);  // as many as an integer has bytes
  static constexpr bool kPlanar = kOrder == Order::kPlanar, kFourths = kOrder == Order::kFourths;
  static constexpr int kPixelBytes = kIn;
  // Whether the values of an image that is not mirrored are consecutive bytes.
  static constexpr bool kConsecutive = kIn == kOut && (!kPlanar || kIn == 1);

  // Values of an interleaved block: the first of vector `w`, and from there to the next float.
  static constexpr int First(int w) {
    return kFourths ? w / 4 * 4 * V::kFloats + w % 4 : w * V::kFloats;
  }
  static constexpr int kStride = kFourths ? 4 : 1;

  // Vectors whose first floats are of the same channel are of one pattern. Of the n-th value from
  // there on: the pixel, counted from that of the first float, and the channel.
  static constexpr int kPatterns = kOut;
  static constexpr int Pixel(int pattern, int n) { return kPlanar ? n : (pattern + n) / kOut; }
  static constexpr int Channel(int pattern, int n) {
    return kPlanar ? pattern : (pattern + n) % kOut;
  }

  // Bytes that loads may reach beyond the pixels of their block, to either side, at most.
  static constexpr int kSlack = 16;
  static constexpr int Slack(bool mirrored) { return kConsecutive && !mirrored ? 0 : kSlack; }

  // From the first pixel to the byte behind the value.
  static constexpr int Offset(bool mirrored, int pattern, int n) {
    return (mirrored ? -1 : 1) * Pixel(pattern, n) * kIn + Channel(pattern, n);
  }

  // What one load serves: a vector or, of fourths, all four of a run.
  static constexpr int kValues = (kFourths ? 4 : 1) * V::kFloats, kOfLane = kValues / V::kLanes;

  // From the first pixel to the window of each lane. Planar: all channels share the windows.
  static constexpr V::Starts StartsOf(bool mirrored, int pattern) {
    V::Starts starts = {};
    int low = Offset(mirrored, pattern, 0), high = low;
    for (int lane = 0; lane < V::kLanes; lane++) {
      starts[lane] = kValues * kIn;
      for (int n = kOfLane * lane; n < kOfLane * (lane + 1); n++) {
        for (int p = kPlanar ? 0 : pattern; p < (kPlanar ? kIn : pattern + 1); p++) {
          if (Channel(p, n) >= kIn) continue;
          const int offset = Offset(mirrored, p, n);
          starts[lane] = offset < starts[lane] ? offset : starts[lane];
          low = offset < low ? offset : low;
          high = offset > high ? offset : high;
        }
      }
    }
    // One window for all lanes, or windows whole words apart, as a shuffle of integers takes them.
    for (int &start : starts) start = high - low < 16 ? low : low + (start - low) / 4 * 4;
    return V::Place(starts);
  }
  template <bool kMirrored, int kPattern>
  static constexpr V::Starts kStarts = StartsOf(kMirrored, kPattern);

  // From the window of its lane to the byte behind a value.
  static constexpr int InWindow(const V::Starts &starts, bool mirrored, int pattern, int n) {
    return Offset(mirrored, pattern, n) - starts[n / kOfLane];
  }

  // Windows that a lane takes, one behind the other: sixteen values may span two.
  static constexpr int kMostParts = kFourths ? 2 : 1;
  static constexpr int Parts(int pattern) {
    for (const bool mirrored : {false, true}) {
      const V::Starts starts = StartsOf(mirrored, pattern);
      for (int n = 0; n < kValues; n++)
        if (Channel(pattern, n) < kIn && InWindow(starts, mirrored, pattern, n) >= 16) return 2;
    }
    return 1;
  }

  // Shuffle controls, for each part: byte 4*j of a lane (of fourths: byte j) names the window byte
  // behind its j-th value; 0x80 gives 0.
  struct Picks {
    alignas(64) uint8_t bytes[kPatterns][kMostParts][4 * V::kFloats];
  };
  static constexpr Picks MakePicks(bool mirrored) {
    Picks picks = {};
    for (int p = 0; p < kPatterns; p++) {
      const V::Starts starts = StartsOf(mirrored, p);
      for (auto &part : picks.bytes[p])
        for (uint8_t &byte : part) byte = 0x80;
      for (int n = 0; n < kValues; n++) {
        if (Channel(p, n) >= kIn) continue;
        const int at = InWindow(starts, mirrored, p, n);
        if (at < 0) __builtin_trap();  // nor would it compile
        picks.bytes[p][at / 16][n * (16 / kOfLane)] = static_cast<uint8_t>(at % 16);
      }
    }
    return picks;
  }
  static constexpr Picks kPlain = MakePicks(false), kMirrored = MakePicks(true);

  // Which pixel each float belongs to, counted from that of the first.
  struct Pixels {
    alignas(64) int index[kPatterns][V::kFloats];
  };
  static constexpr Pixels MakePixels() {
    Pixels pixels = {};
    for (int p = 0; p < kPatterns; p++)
      for (int i = 0; i < V::kFloats; i++) pixels.index[p][i] = Pixel(p, kStride * i);
    return pixels;
  }
  static constexpr Pixels kPixels = MakePixels();
};

// Source rows being read from left to right of the output. Whether they are mirrored is asked for
// each window: the processor foresees the answer, and one loop serves all rows.
template <class G>
struct Cursor {
  const uint8_t *at;  // the first pixel of the next block
  ptrdiff_t row;      // bytes to the next row
  bool mirrored;
  const typename G::Picks *picks;

  Cursor(const uint8_t *pixel, ptrdiff_t row, bool mirrored)
      : at(pixel), row(row), mirrored(mirrored), picks(mirrored ? &G::kMirrored : &G::kPlain) {}

  MIX_HD void Skip(ptrdiff_t pixels) { at += (mirrored ? -pixels : pixels) * G::kPixelBytes; }
  MIX_HD void SkipRow() { at += row; }

  // Asks for pixels of the next row where it is read backwards, which the processor's own
  // prefetcher does not foresee. Always inlined: g++ takes a function that only prefetches for one
  // without effect, and drops the call.
  MIX_HD void PrefetchNextRow(ptrdiff_t pixels) const {
    if (!mirrored) return;
    const uint8_t *end = at + row + G::kPixelBytes;
    for (const uint8_t *line = end - pixels * G::kPixelBytes; line < end; line += 64)
      __builtin_prefetch(line);
  }

  // The window of a pattern that begins `pixels` ahead; part 1 is the one behind it.
  template <int kPattern, int kPart = 0>
  MIX_HD typename V::Window Window(int pixels) const {
    const uint8_t *part = at + 16 * kPart;
    const int ahead = pixels * G::kPixelBytes;
    if (mirrored) return V::template Load<G::template kStarts<true, kPattern>>(part - ahead);
    return V::template Load<G::template kStarts<false, kPattern>>(part + ahead);
  }

  // The vectors of a store run of an interleaved block.
  template <int kIndex>
  MIX_HD void Run(typename V::F (&floats)[V::kRun]) const {
    constexpr int start = kIndex * V::kRun * V::kFloats;  // values
    if constexpr (G::kFourths) {
      V::Split(Ordered<start>(), floats);
    } else {
      if (G::kConsecutive && !mirrored) return V::Widen(at + start, floats);
      Unroll<V::kRun>([&](auto i) MIX_INLINE {
        constexpr int first = G::First(kIndex * V::kRun + i), p = first % G::kPatterns;
        floats[i] = V::Pick(Window<p>(first / G::kPatterns), picks->bytes[p][0]);
      });
    }
  }

 private:
  // As many bytes as a vector has, in the order of the output, from value `kFirst` of a block on.
  template <int kFirst>
  MIX_HD typename V::Window Ordered() const {
    constexpr int p = kFirst % G::kPatterns, pixels = kFirst / G::kPatterns;
    if (G::kConsecutive && !mirrored) return V::LoadBytes(at + kFirst);
    auto bytes = V::PickBytes(Window<p>(pixels), picks->bytes[p][0]);
    if constexpr (G::Parts(p) > 1)
      bytes = V::Or(bytes, V::PickBytes(Window<p, 1>(pixels), picks->bytes[p][1]));
    return bytes;
  }
};
