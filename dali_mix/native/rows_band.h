// Consecutive rows of one pattern, written as runs of blocks. Included by each rows_*.cc inside its
// own namespace, after rows_block.h.
//
// Note [last block]
// A width is seldom a multiple of a block. The last block of a row ends where the row ends, and
// writes some pixels of the block before it a second time, with the same values. So a row of at
// least one block is written without a buffer, at any width:
//
//     |--------|--------|--------|        blocks of a row of 29 pixels, 8 in a block
//                         |--------|
//
// A row that is narrower than a block is written as one block that reaches into the rows below it,
// which are written afterwards.
//
// Loads may reach beyond their block. Blocks that would leave the memory of an image or the band
// are bounced through buffers: most often the first or the last of a band.

// What a run of blocks shows: the base image, the inset one, their blend; or whatever is the base
// where bits are 0, and the inset where they are 1.
enum class Mode { kBase, kInset, kBlend, kBits };

// One of the two images of a pattern, along the rows of a band.
struct Side {
  const uint8_t *pixel;  // behind column 0 of the first row
  ptrdiff_t row;         // bytes to the next row
  bool mirrored;
  Bytes bytes;
  Columns columns;  // where the image shows, at most: nothing else of it is copied
};

template <typename Out, int kIn, int kOut, bool kPlanar>
class Band {
 public:
  using B = Blocks<Out, kIn, kOut, kPlanar>;
  using Lanes = typename B::Lanes;
  static constexpr ptrdiff_t kStep = kPlanar ? 1 : kOut;  // from one output pixel to the next

  Band(const Pattern &pattern, const Lanes &lanes, const Side &base, const Side &inset, Out *out,
       ptrdiff_t plane, int width, int rows)
      : pattern_(pattern),
        lanes_(lanes),
        base_(base),
        inset_(inset),
        out_(out),
        plane_(plane),
        width_(width),
        rows_(rows) {
    if (IsOneRow()) {
      width_ *= rows_;
      rows_ = 1;
      base_.columns = inset_.columns = {0, width_};
    }
  }

  template <bool kMayStream>
  void Write() {
    const bool stream = kMayStream && IsWholeLines() && width_ >= kBlock && !pattern_.mask;
    // A row of boxes has fewer runs than fit; one of a mask is written part by part.
    for (int x = 0; x < width_;) {
      x = FindRuns(x);
      stream ? WriteRuns<true>() : WriteRuns<false>();
    }
  }

 private:
  using G = typename B::G;
  static constexpr int kBlock = B::kPixels;
  static constexpr int kMaxRuns = 64;
  static constexpr ptrdiff_t kFar = 1 << 30;  // beyond every row
  static_assert(kMaxRuns > 4 * kMaxBoxes);

  struct Run {
    Mode mode;
    uint64_t bits;   // of each block
    int begin, end;  // at least one block; see Note [last block]

    int Count() const { return (end - begin + kBlock - 1) / kBlock; }
    int BlockAt(int i) const {
      const int x = begin + i * kBlock;
      return x < end - kBlock ? x : end - kBlock;
    }
  };

  // Rows that follow one another in all memory they touch are one long row.
  bool IsOneRow() const {
    const auto follow = [&](const Side &side) {
      return !side.mirrored && side.row == static_cast<ptrdiff_t>(width_) * kIn;
    };
    return pattern_.Uniform() && follow(base_) && (pattern_.base != kBlended || follow(inset_));
  }

  // Stores around the cache pay only for whole cache lines.
  bool IsWholeLines() const {
    const auto bytes = static_cast<uintptr_t>(width_) * kStep * sizeof(Out);
    const auto plane = static_cast<uintptr_t>(kPlanar ? plane_ * sizeof(Out) : 0);
    return (reinterpret_cast<uintptr_t>(out_) | bytes | plane) % 64 == 0;
  }

  // Where the runs of a row end: a row narrower than a block is one.
  int End() const { return width_ < kBlock ? kBlock : width_; }

  // Finds the runs from block x on and returns where they end.
  int FindRuns(int x) {
    const Mode base = pattern_.base == kBlended ? Mode::kBlend : Mode::kBase;
    const int end = End();
    count_ = 0;
    if (pattern_.Uniform()) {
      runs_[count_++] = {base, 0, 0, end};
      return end;
    }
    for (; x < end && count_ < kMaxRuns; x += kBlock) {
      const int begin = x < end - kBlock ? x : end - kBlock;
      const int size = width_ - begin < kBlock ? width_ - begin : kBlock;
      const uint64_t bits = pattern_.BitsAt(begin, size);
      const Mode mode = bits == 0 ? base : (bits == BitsFrom(0, size) ? Mode::kInset : Mode::kBits);
      if (count_ > 0 && mode != Mode::kBits && mode == runs_[count_ - 1].mode)
        runs_[count_ - 1].end = begin + kBlock;
      else
        runs_[count_++] = {mode, bits, begin, begin + kBlock};
    }
    return x < end ? x : end;
  }

  static bool ReadsBase(Mode mode) { return mode != Mode::kInset; }
  static bool ReadsInset(Mode mode) { return mode != Mode::kBase; }

  template <bool kStream>
  void WriteRuns() const {
    for (int y = 0; y < rows_;) {
      const int end = EndOfDirectRows(y);
      if (y == end) WriteBounced<kStream>(y++);
      if (y < end && count_ == 1) {
        WriteApart<kStream>(runs_[0], PlaceAt(runs_[0].begin, y), end - y);
        y = end;
      }
      // Runs side by side go row by row: jumping between the lines of the output is slow.
      for (; y < end; y++)
        for (int i = 0; i < count_; i++)
          WriteBlocks<kStream>(runs_[i], PlaceAt(runs_[i].begin, y), 1);
    }
  }

  // Until where rows from y on need no bouncing. Those that do lie at the ends of the band.
  int EndOfDirectRows(int y) const {
    if (!IsDirect(y)) return y;
    int end = rows_;
    while (end - 1 > y && !IsDirect(end - 1)) end--;
    return end;
  }

  bool IsDirect(int y) const {
    for (int i = 0; i < count_; i++) {
      const Columns direct = DirectBlocks(runs_[i].mode, y);
      if (runs_[i].begin < direct.begin || runs_[i].end - kBlock >= direct.end) return false;
    }
    return true;
  }

  // Pixels from the beginning of row y that stores may reach.
  int Room(int y) const { return width_ < kBlock ? width_ * (rows_ - y) : width_; }

  // Where blocks of row y may begin, so that their loads stay in the images and their stores in the
  // band.
  Columns DirectBlocks(Mode mode, int y) const {
    Columns direct = {0, Room(y) - kBlock + 1};
    if (ReadsBase(mode)) KeepInside(direct, base_, y);
    if (ReadsInset(mode)) KeepInside(direct, inset_, y);
    return direct;
  }

  static void KeepInside(Columns &blocks, const Side &side, int y) {
    const uint8_t *pixel = side.pixel + y * side.row;
    const ptrdiff_t slack = G::Slack(side.mirrored), last = kBlock * kIn + slack;
    // A block at x reads [pixel + x*kIn, + block), or mirrored [pixel - x*kIn + kIn - block, …).
    const ptrdiff_t before = pixel - side.bytes.begin, after = side.bytes.end - pixel;
    const ptrdiff_t low = side.mirrored ? kIn + slack - after : slack - before;
    const ptrdiff_t high = side.mirrored ? before + kIn - last : after - last;
    const ptrdiff_t begin = low <= 0 ? 0 : (low + kIn - 1) / kIn,
                    end = high < 0 ? 0 : high / kIn + 1;
    if (begin > blocks.begin) blocks.begin = static_cast<int>(begin < kFar ? begin : kFar);
    if (end < blocks.end) blocks.end = static_cast<int>(end);
  }

  // A row that is direct only in part.
  template <bool kStream>
  void WriteBounced(int y) const {
    for (int r = 0; r < count_; r++) {
      const Run &run = runs_[r];
      const Columns direct = DirectBlocks(run.mode, y);
      const auto is_direct = [&](int x) { return direct.begin <= x && x < direct.end; };
      for (int i = 0; i < run.Count();) {
        const int x = run.BlockAt(i);
        int end = x;
        for (; i < run.Count() && is_direct(run.BlockAt(i)); i++) end = run.BlockAt(i) + kBlock;
        if (x < end)
          WriteApart<kStream>({run.mode, run.bits, x, end}, PlaceAt(x, y), 1);
        else
          BounceBlock(run, run.BlockAt(i++), y);
      }
    }
  }

  // What lies behind one output pixel, and where it goes.
  struct Place {
    const uint8_t *base, *inset;
    Out *out;
    ptrdiff_t plane;
  };

  MIX_HD Place PlaceAt(int x, int y) const {
    const auto pixel = [&](const Side &side) {
      return side.pixel + y * side.row + (side.mirrored ? -x : x) * ptrdiff_t{kIn};
    };
    return {pixel(base_), pixel(inset_), out_ + (static_cast<ptrdiff_t>(y) * width_ + x) * kStep,
            plane_};
  }

  // `rows` rows of a run that begins at `place`.
  template <bool kStream>
  MIX_HD void WriteBlocks(const Run &run, const Place &place, int rows) const {
    const Cursor<G> from(place.base, base_.row, base_.mirrored);
    const Cursor<G> other(place.inset, inset_.row, inset_.mirrored);
    const typename B::Target to = {place.out, width_ * kStep, place.plane};
    const int count = run.Count(), back = count * kBlock - (run.end - run.begin);
    switch (run.mode) {
      case Mode::kBase:
      case Mode::kInset:
        return B::template Write<Block::kOne, kStream>(from, run.mode == Mode::kBase ? from : other,
                                                       to, lanes_, 0, rows, count, back);
      case Mode::kBlend:
        return B::template Write<Block::kBlend, kStream>(from, other, to, lanes_, 0, rows, count,
                                                         back);
      case Mode::kBits:
        return B::template Write<Block::kBits, kStream>(from, other, to, lanes_, run.bits, rows,
                                                        count, back);
    }
  }

  // The same, not inlined: for where one call writes many rows, or calls are few.
  template <bool kStream>
  __attribute__((noinline)) void WriteApart(const Run &run, const Place &place, int rows) const {
    WriteBlocks<kStream>(run, place, rows);
  }

  static constexpr int kBounced = kBlock * kIn + 2 * G::kSlack;  // bytes

  // One block, read through buffers, and written through one where it would leave the band.
  void BounceBlock(const Run &run, int x, int y) const {
    const int count = width_ - x < kBlock ? width_ - x : kBlock;
    uint8_t base[kBounced], inset[kBounced];
    const auto base_at = ReadsBase(run.mode) ? Bounce(base, base_, x, y, count) : base;
    const auto inset_at = ReadsInset(run.mode) ? Bounce(inset, inset_, x, y, count) : inset;
    const Run block = {run.mode, run.bits, 0, kBlock};
    Out *out = PlaceAt(x, y).out;
    if (x + kBlock <= Room(y)) return WriteApart<false>(block, {base_at, inset_at, out, plane_}, 1);
    alignas(64) Out buffer[kBlock * kOut];
    WriteApart<false>(block, {base_at, inset_at, buffer, kBlock}, 1);
    if (!kPlanar) __builtin_memcpy(out, buffer, count * kOut * sizeof(Out));
    for (int v = 0; kPlanar && v < kOut; v++)
      __builtin_memcpy(out + v * plane_, buffer + v * kBlock, count * sizeof(Out));
  }

  // Copies those of the pixels [x, x + count) of row y that lie in the columns of the image, and
  // returns where pixel x lies in `buffer`.
  static const uint8_t *Bounce(uint8_t (&buffer)[kBounced], const Side &side, int x, int y,
                               int count) {
    __builtin_memset(buffer, 0, kBounced);
    const uint8_t *pixel = side.pixel + y * side.row;
    const int begin = side.columns.begin > x ? side.columns.begin : x;
    const int end = side.columns.end < x + count ? side.columns.end : x + count;
    const ptrdiff_t first = side.mirrored ? -static_cast<ptrdiff_t>(end - 1) : begin;
    const ptrdiff_t place = side.mirrored ? kBlock - (end - x) : begin - x;
    if (begin < end)
      __builtin_memcpy(buffer + G::kSlack + place * kIn, pixel + first * kIn, (end - begin) * kIn);
    return buffer + G::kSlack + (side.mirrored ? (kBlock - 1) * kIn : 0);
  }

  const Pattern &pattern_;
  const Lanes &lanes_;
  Side base_, inset_;
  Out *out_;
  ptrdiff_t plane_;  // planar: from one channel to the next, in elements
  int width_, rows_;
  Run runs_[kMaxRuns];
  int count_ = 0;
};
