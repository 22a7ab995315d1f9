// The CUDA kernel of fn.dali_mix.apply, thread by thread, as host-and-device functions: a host test
// walks every (block, thread) of a launch and sees what each one reads and writes.
//
// schedule.h says which tile a thread writes; tile.h writes it, as tile_pattern.h says what shows
// in it, by the loads and stores of registers.h.
#ifndef DALI_MIX_NATIVE_KERNEL_KERNEL_H_
#define DALI_MIX_NATIVE_KERNEL_KERNEL_H_

#include "core/key.h"
#include "kernel/schedule.h"
#include "kernel/tile.h"

namespace dali_mix {

// One thread of a block that writes to the sample of this index. Without kLayered no sample may
// have layers.
template <class Tile, bool kLayered>
MIX_HD void WriteTile(const Call &call, const Sample &sample, const Work &work, int index,
                      int block, int thread) {
  const int tile = (block - work.first_block) * kThreads + thread;
  const int y = work.RowOf(tile);
  if (y >= sample.height) {
    return;
  }
  const int x = (tile - y * DivUp(sample.width, Tile::kPixels)) * Tile::kPixels;
  Tile::template Write<kLayered>(call, sample, index, y, x);
}

// Calls visit.template operator()<Tile>() with the tile that a call needs: the launcher and the
// host walk choose alike.
template <typename Out, typename Visit>
void VisitChannels(const RowsKey &key, Visit &&visit) {
  const auto is = [&key](int channels, int out_channels, bool planar) {
    return key.interleaved && key.channels == channels && key.out_channels == out_channels &&
           key.planar == planar;
  };
  if (key.in == InType::kFloat) {
    return visit.template operator()<AnyTile<float, Out>>();
  }
  if (key.in == InType::kHalf) {
    return visit.template operator()<AnyTile<Half, Out>>();
  }
  if (is(1, 1, true) || is(1, 1, false)) {
    return visit.template operator()<VectorTile<Out, 1, 1, true>>();
  }
  if (is(3, 3, true)) {
    return visit.template operator()<VectorTile<Out, 3, 3, true>>();
  }
  if (is(3, 3, false)) {
    return visit.template operator()<VectorTile<Out, 3, 3, false>>();
  }
  if (is(3, 4, true)) {
    return visit.template operator()<VectorTile<Out, 3, 4, true>>();
  }
  if (is(3, 4, false)) {
    return visit.template operator()<VectorTile<Out, 3, 4, false>>();
  }
  if (is(4, 4, true)) {
    return visit.template operator()<VectorTile<Out, 4, 4, true>>();
  }
  if (is(4, 4, false)) {
    return visit.template operator()<VectorTile<Out, 4, 4, false>>();
  }
  visit.template operator()<AnyTile<uint8_t, Out>>();
}

template <typename Visit>
void VisitCopied(InType in, Visit &&visit) {
  const auto copy = [&]<typename T>(T) {
    visit.template operator()<AnyTile<Copied<T>, Copied<T>>>();
  };
  if (in == InType::kCopied1) {
    return copy(uint8_t{});
  }
  if (in == InType::kCopied2) {
    return copy(uint16_t{});
  }
  if (in == InType::kCopied4) {
    return copy(uint32_t{});
  }
  copy(uint64_t{});
}

template <typename Visit>
void VisitTile(const RowsKey &key, Visit &&visit) {
  switch (key.out) {
    case OutType::kFloat:
      return VisitChannels<float>(key, visit);
    case OutType::kHalf:
      return VisitChannels<Half>(key, visit);
    case OutType::kUint8:
      return VisitChannels<uint8_t>(key, visit);
    case OutType::kInt8:
      return VisitChannels<int8_t>(key, visit);
    case OutType::kCopied:
      return VisitCopied(key.in, visit);
  }
}

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_KERNEL_KERNEL_H_
