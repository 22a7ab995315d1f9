// What shows along one row, in the form that vector code wants: a base everywhere, and an inset
// image where bits are set. Included by each rows_*.cc inside its own namespace.
//
// The definition is ShownAt; rows that do not fit into this form say so (`simple`), and pixels of a
// soft mask are written again afterwards, one by one.

struct Columns {
  int begin, end;
};

// Bits [begin, end) of 64, clipped.
inline uint64_t BitsFrom(int begin, int end) {
  begin = begin < 0 ? 0 : begin;
  end = end > 64 ? 64 : end;
  return begin < end ? (~uint64_t{0} >> (64 - (end - begin))) << begin : 0;
}

// Bits of the zeros among up to 8 bytes; most often all are alike.
inline uint64_t ZerosOf(const uint8_t *bytes, int count) {
  uint64_t word = 0, zeros = 0;
  if (count >= 8) {
    __builtin_memcpy(&word, bytes, 8);
    if (word == 0) return 0xff;
    if (word == ~uint64_t{0}) return 0;
    count = 8;
  }
  for (int i = 0; i < count; i++) zeros |= static_cast<uint64_t>(bytes[i] == 0) << i;
  return zeros;
}

struct Pattern {
  bool simple;
  int base, inset;                      // images; base kBlended: the blend of images 0 and 1
  Columns base_columns, inset_columns;  // where they show, at most: nothing else is read of them
  Columns boxes[kMaxBoxes];             // of the inset
  int count;
  const uint8_t *mask;  // [width] own weights, null: none

  bool Uniform() const { return count == 0 && !mask; }

  // Which of the pixels x, …, x + size - 1 show the inset.
  uint64_t BitsAt(int x, int size) const {
    uint64_t bits = 0;
    for (int i = 0; mask && i < size; i += 8) bits |= ZerosOf(mask + x + i, size - i) << i;
    for (int b = 0; b < count; b++) bits |= BitsFrom(boxes[b].begin - x, boxes[b].end - x);
    return bits & BitsFrom(0, size);
  }
};

inline int BaseOf(const Layered &sample) {
  return sample.outside == Shows::kBlend ? kBlended : (sample.outside == Shows::kOwn ? 0 : 1);
}

// The first row after y where a box begins or ends, or `end`: until there the pattern is the same,
// but for the mask.
inline int NextPattern(const Layered &sample, int y, int end) {
  for (int b = 0; b < sample.Boxes(); b++) {
    const Box &box = sample.BoxAt(b);
    for (const int edge : {box.y0, box.y1})
      if (y < edge && edge < end) end = edge;
  }
  return end;
}

// `mask`: the row of the mask, as wide as the output, or null.
inline void SetPattern(Pattern &pattern, const Layered &sample, int y, const uint8_t *mask) {
  const Columns all = {0, sample.width};
  pattern.simple = true;
  pattern.base = BaseOf(sample);
  pattern.inset = 1;
  pattern.base_columns = pattern.inset_columns = all;
  pattern.count = 0;
  pattern.mask = pattern.base == 1 ? nullptr : mask;
  int images[kMaxBoxes], last = 0;
  bool same = true;
  for (int b = 0; b < sample.Boxes(); b++) {
    const Box &box = sample.BoxAt(b);
    if (box.Empty() || y < box.y0 || y >= box.y1) continue;
    images[pattern.count] = sample.ShownIn(b);
    same = same && images[pattern.count] == images[0];
    last = last > box.x1 ? last : box.x1;
    pattern.boxes[pattern.count++] = {box.x0, box.x1};
  }
  const Columns *boxes = pattern.boxes;
  if (pattern.base == kBlended && sample.Images() > 2) pattern.simple = false;
  if (pattern.count == 0) {
    // The partner may be of another size, or none at all: it is not even read along.
    if (!pattern.mask && pattern.base != kBlended) pattern.inset_columns = {0, 0};
    return;
  }
  if (same) {
    pattern.inset = images[0];
    if (pattern.inset != 1 && (pattern.mask || pattern.base == kBlended)) pattern.simple = false;
    if (pattern.mask || pattern.base == kBlended) return;
    int first = boxes[0].begin;
    for (int b = 1; b < pattern.count; b++) first = first < boxes[b].begin ? first : boxes[b].begin;
    pattern.inset_columns = {first, last};
    return;
  }
  // Two images side by side, and nothing behind them.
  const int left = boxes[0].begin == 0 ? 0 : 1;
  if (pattern.count != 2 || boxes[left].begin != 0 || boxes[left].end != boxes[1 - left].begin ||
      boxes[1 - left].end != sample.width) {
    pattern.simple = false;
    return;
  }
  pattern.mask = nullptr;
  pattern.base = images[left], pattern.base_columns = boxes[left];
  pattern.inset = images[1 - left], pattern.inset_columns = boxes[1 - left];
  pattern.boxes[0] = pattern.inset_columns;
  pattern.count = 1;
  // The lanes of the sample hold the weights of its blend.
  if (sample.outside == Shows::kBlend) pattern.simple = false;
}

// The row of the mask behind row y, as wide as the output: the mask's own, or made in `buffer`
// from its cells. `filled` is the row that the buffer holds.
inline const uint8_t *MaskRow(const Layered &sample, int y, uint8_t *buffer, int &filled) {
  if (!sample.Masked()) return nullptr;
  const Mask &mask = sample.more->mask;
  const int row = CellAt(y, mask.height, sample.height);
  const uint8_t *values = mask.values + static_cast<ptrdiff_t>(row) * mask.width;
  if (mask.width == sample.width) return values;
  if (filled != row)
    for (int x = 0; x < sample.width; x++) buffer[x] = values[CellAt(x, mask.width, sample.width)];
  filled = row;
  return buffer;
}
