// What shows in one tile, as the vector code wants it: one image, or the blend of two, and another
// image where bits are set.
#ifndef DALI_MIX_NATIVE_KERNEL_TILE_PATTERN_H_
#define DALI_MIX_NATIVE_KERNEL_TILE_PATTERN_H_

#include "kernel/registers.h"

namespace dali_mix {

// Where bits are set `second` shows. Elsewhere `first` does, or the blend of both, to which a mask
// may give another weight (`level` of 255, else the whole one).
struct TilePattern {
  bool simple;  // else it has another form: pixel by pixel
  bool blended;
  uint8_t level;
  int first, second;
  uint32_t bits;
};

// A tile without layers: the box is the only edge.
template <int kPixels>
MIX_HD TilePattern PatternOf(const Sample &sample, int y, int x) {
  const Range cut = BoxedColumns(sample, y);
  const bool second = sample.outside == Shows::kPartner;
  return {true, sample.outside == Shows::kBlend,
          255,  0,
          1,    BitsBetween(second ? 0 : cut.begin - x, second ? kPixels : cut.end - x, kPixels)};
}

// Columns of a mask, from one pixel to the next: one division to begin with.
class CellColumns {
 public:
  MIX_HD CellColumns(int x, int cells, int width)
      : cells_(cells), width_(width), cell_(CellAt(x, cells, width)) {
    rest_ = static_cast<int>(static_cast<int64_t>(x) * cells - static_cast<int64_t>(cell_) * width);
  }
  MIX_HD int Cell() const { return cell_; }
  // More than one cell further only where the mask is finer than the output.
  MIX_HD void Next() {
    for (rest_ += cells_; rest_ >= width_; rest_ -= width_) {
      cell_++;
    }
  }

 private:
  int cells_, width_, cell_, rest_;
};

// What the pixels of a tile show in turn: at most two different things fit into a pattern.
class PatternBuilder {
 public:
  MIX_HD void Add(int pixel, Shown shown) {
    if (pixel == 0) {
      first_ = second_ = shown;
    }
    if (shown == first_) {
      return;
    }
    if (second_ == first_) {
      second_ = shown;
    }
    if (!(shown == second_)) {
      many_ = true;
    }
    bits_ |= uint32_t{1} << pixel;
  }

  // `images` mixed in the sample.
  MIX_HD TilePattern Build(int images) const {
    // A blend is what lies below.
    const bool swap = bits_ != 0 && second_.image == kBlended;
    const Shown below = swap ? second_ : first_, above = swap ? first_ : second_;
    const uint32_t bits = swap ? ~bits_ : bits_;
    if (below.image != kBlended) {
      return {!many_, false, 255, below.image, above.image, bits};
    }
    const bool pair = images == 2 || below.level < 255;
    const bool over_partner = bits == 0 || above.image == 1;
    return {!many_ && pair && over_partner, true, below.level, 0, 1, bits};
  }

 private:
  Shown first_ = {}, second_ = {};
  uint32_t bits_ = 0;
  bool many_ = false;
};

template <int kPixels>
MIX_HD TilePattern PatternOf(const Layered &sample, int y, int x, int count) {
  const Mask &mask = sample.more->mask;
  const bool masked = sample.Masked();
  CellColumns column(masked ? x : 0, masked ? mask.width : 1, sample.width);
  const uint8_t *row = mask.values;
  if (masked) {
    row += CellAt(y, mask.height, sample.height) * static_cast<ptrdiff_t>(mask.width);
  }
  PatternBuilder builder;
  MIX_ROLLED
  for (int p = 0; p < count; p++) {
    builder.Add(p, ShownUnder(sample, y, x + p, [&] { return row[column.Cell()]; }));
    column.Next();
  }
  return builder.Build(sample.Images());
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_KERNEL_TILE_PATTERN_H_
