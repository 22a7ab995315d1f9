// How the vector loops read: windows of input bytes and the shuffles that turn them into floats.
// Included by each rows_*.cc inside its own namespace, after a `V` that wraps the instruction set.
//
// A 128-bit lane holds four output floats. They come from a window of 16 input bytes; a byte
// shuffle picks the four and widens them. The windows of consecutive lanes lie a constant step
// apart, negative for a mirrored image:
//
//   planar       lane = one channel of 4 pixels      step 4*channels, one shuffle per channel
//   interleaved  lane = 4 consecutive values         step 4  (3 when a fourth channel is padding)

template <int kIn, int kOut, bool kPlanar>
struct Geometry {
  static constexpr int kVectors = kOut;  // per group of V::kFloats pixels, in both layouts
  static constexpr int kWindowStep = kPlanar ? 4 * kIn : (kIn == kOut ? 4 : kIn);
  static constexpr int kWindows = V::kLanes * (kPlanar ? 1 : kOut);  // per group
  // From the mirrored pixel 0 back to the start of the first window, which holds pixels -3..0, or
  // values of pixels -1..0.
  static constexpr int kMirrorShift = kPlanar ? 3 * kIn : (kIn == 3 && kOut == 3 ? 3 : 0);

  // Shuffle controls: byte 4*j of a lane is the window byte behind its j-th float; 0x80 gives 0.
  struct Picks {
    alignas(64) uint8_t bytes[kVectors][16 * V::kLanes];
  };
  static constexpr Picks MakePicks(bool mirrored) {
    Picks picks = {};
    for (int v = 0; v < kVectors; v++) {
      for (int i = 0; i < V::kFloats; i++) {
        const int lane = i / 4, j = i % 4;
        const int window = kPlanar ? lane : v * V::kLanes + lane;
        const int pixel = kPlanar ? i : (window * 4 + j) / kOut;
        const int channel = kPlanar ? v : (window * 4 + j) % kOut;
        const int sign = mirrored ? -1 : 1;
        const int base = sign * window * kWindowStep - (mirrored ? kMirrorShift : 0);
        for (int byte = 0; byte < 4; byte++) picks.bytes[v][lane * 16 + j * 4 + byte] = 0x80;
        if (channel < kIn)
          picks.bytes[v][lane * 16 + j * 4] =
              static_cast<uint8_t>(sign * pixel * kIn + channel - base);
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
      for (int i = 0; i < V::kFloats; i++)
        pixels.index[v][i] = kPlanar ? i : (v * V::kFloats + i) / kOut;
    return pixels;
  }
  static constexpr Pixels kPixels = MakePixels();
};

// A source row being read from left to right of the output.
template <class G>
struct Cursor {
  const uint8_t *at;
  ptrdiff_t step;
  const typename G::Picks *picks;

  Cursor(const uint8_t *pixel, bool mirrored)
      : at(pixel - (mirrored ? G::kMirrorShift : 0)),
        step(mirrored ? -G::kWindowStep : G::kWindowStep),
        picks(mirrored ? &G::kMirrored : &G::kPlain) {}

  void SkipGroups(ptrdiff_t groups) { at += groups * G::kWindows * step; }
};
