// Draws random batches; random_batch.h says what they are for.
#include "random_batch.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace dali_mix {

Block::Block(size_t size) : size(size), data(nullptr) {
  if (!guarded) {
    data = new uint8_t[size];
    return;
  }
  static int blocks = 0;
  const size_t page = sysconf(_SC_PAGESIZE), inside = (size + page - 1) / page * page;
  bytes_ = inside + 2 * page;
  void *mapped = mmap(nullptr, bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) {
    std::abort();
  }
  mapped_ = static_cast<uint8_t *>(mapped);
  if (mprotect(mapped_ + page, inside, PROT_READ | PROT_WRITE)) {
    std::abort();
  }
  data = mapped_ + page + (blocks++ % 2 ? 0 : inside - size);
}

Block::~Block() {
  if (mapped_) {
    munmap(mapped_, bytes_);
  } else {
    delete[] data;
  }
}

RandomBatch::RandomBatch(uint64_t seed, Plant plant, std::optional<Given> given)
    : random_(seed), plant_(plant) {
  DrawKey();
  count_ = random_.In(1, 4);
  frames_ = random_.Chance(0.2) ? 2 : 1;
  height_ = random_.In(1, 29);
  // Narrower than a vector, or several blocks of 64 pixels.
  width_ = random_.Chance(0.5) ? random_.In(1, 40) : random_.In(41, 300);
  if (given) {
    key_ = given->key;
    width_ = given->width;
    height_ = random_.In(1, given->most_rows);
  }
  call_.images = random_.Chance(0.5) ? 2 : random_.In(3, kMaxImages);
  DrawCoefficients();
  for (int i = 0; i < count_; i++) {
    shared_.push_back(DrawImage({0, 0, height_, width_}));
  }
  weights_.reserve(static_cast<size_t>(count_) * frames_ * key_.channels * call_.images);
  for (int i = 0; i < count_; i++) {
    AddSample(i);
  }
  call_.weights = weights_.data();
}

void RandomBatch::DrawKey() {
  key_.in = static_cast<InType>(random_.In(0, 6));
  // Half of all batches are of bytes: most of the code is for them.
  if (random_.Chance(0.4)) {
    key_.in = InType::kUint8;
  }
  const bool copied = key_.in >= InType::kCopied1;
  key_.out = copied ? OutType::kCopied : static_cast<OutType>(random_.In(0, 3));
  constexpr int kChannels[] = {1, 2, 3, 3, 3, 4, 5};
  key_.channels = kChannels[random_.In(0, 6)];
  key_.out_channels = key_.channels;
  if (random_.Chance(0.3)) {
    while (key_.out_channels & (key_.out_channels - 1)) {
      key_.out_channels++;
    }
  }
  key_.interleaved = random_.Chance(0.7);
  key_.planar = random_.Chance(0.5);
  key_.stream = random_.Chance(0.3);
}

void RandomBatch::DrawCoefficients() {
  for (int c = 0; c < key_.channels; c++) {
    const Normalization of(random_.Real(0, 255), random_.Real(1, 255), random_.Real(0.5, 2),
                           random_.Real(-1, 99));
    singles_.push_back(of.ForSingle());
    factors_.push_back(of.k);
  }
  call_.singles = singles_.data();
  call_.factors = factors_.data();
  call_.layers = nullptr;  // CpuSample::more points at them
  call_.channels = key_.channels;
  call_.out_channels = key_.out_channels;
  call_.planar = key_.planar;
}

Box RandomBatch::DrawBox() {
  const int y = random_.In(0, height_ - 1), x = random_.In(0, width_ - 1);
  if (random_.Chance(0.2)) {
    return {0, x, height_, width_};
  }
  return {y, x, random_.In(y + 1, height_), random_.In(x + 1, width_)};
}

// As apply reads a plan: what does not show is dropped, and a mask is between two images.
RandomBatch::Mix RandomBatch::DrawMix() {
  Mix mix;
  mix.images = random_.In(2, call_.images);
  mix.boxes =
      random_.In(0, mix.images > 2 ? mix.images - 1 : (random_.Chance(0.5) ? 1 : kMaxBoxes));
  for (int b = 0; b < mix.boxes; b++) {
    mix.box[b] = DrawBox();
    mix.shows[b] = mix.images > 2 ? b + 1 : 1;
  }
  DrawWeights(mix);
  if (mix.images == 2 && mix.boxes > 0 && mix.outside == Shows::kBlend && random_.Chance(0.3)) {
    mix.blends_inside = true;
    mix.outside = Shows::kOwn;
    std::fill_n(mix.shows, mix.boxes, kBlended);
    return mix;
  }
  mix.masked = mix.images == 2 && mix.outside != Shows::kPartner && random_.Chance(0.4);
  return mix;
}

void RandomBatch::DrawWeights(Mix &mix) {
  const int alone = random_.In(-2, mix.images - 1);
  if (alone >= 0 || key_.out == OutType::kCopied) {  // which is never blended
    mix.copied = alone < 0 ? 0 : alone;
    mix.weights[0] = 0, mix.weights[mix.copied] = 1;
  } else {
    float rest = 1;
    for (int k = 0; k < mix.images - 1; k++) {
      rest -= mix.weights[k] = random_.Chance(0.2) ? 0 : rest * float(random_.Real(0.1, 0.9));
    }
    mix.weights[mix.images - 1] = rest;
  }
  if (mix.weights[0] != 1) {
    mix.outside = mix.weights[1] == 1 ? Shows::kPartner : Shows::kBlend;
  }
}

void RandomBatch::FillValues(Block &block) {
  const int size = SizeOf(key_.in);
  for (size_t i = 0; i + size <= block.size; i += size) {
    const float value = static_cast<float>(random_.Real(-50, 300));
    const Half half = FloatToHalfSoft(value);
    if (key_.in == InType::kFloat) {
      std::memcpy(&block.data[i], &value, size);
    } else if (key_.in == InType::kHalf) {
      std::memcpy(&block.data[i], &half, size);
    } else {
      for (int byte = 0; byte < size; byte++) {
        block.data[i + byte] = static_cast<uint8_t>(random_.In(0, 255));
      }
    }
  }
}

// An image of which the output sees the columns and rows `seen`, cropped and mirrored at random.
RandomBatch::Image RandomBatch::DrawImage(const Box &seen) {
  const bool cropped = random_.Chance(0.5), mirrored = random_.Chance(0.5);
  const int top = cropped ? random_.In(0, 3) : 0, left = cropped ? random_.In(0, 5) : 0;
  const int height = seen.y1 - seen.y0 + top + (cropped ? random_.In(0, 3) : 0);
  const int width = seen.x1 - seen.x0 + left + (cropped ? random_.In(0, 5) : 0);
  const int frame = height * width * key_.channels, size = SizeOf(key_.in);
  const int shift = plant_ == Plant::kAlign ? 1 : 0, lacks = plant_ == Plant::kRead ? size : 0;
  inputs_.emplace_back(static_cast<size_t>(frames_) * frame * size + shift - lacks);
  Block &block = inputs_.back();
  FillValues(block);
  const int column = key_.interleaved ? key_.channels : 1, row = width * column;
  const int first = mirrored ? left + seen.x1 - 1 : left - seen.x0;
  const ptrdiff_t origin = ptrdiff_t{top - seen.y0} * row + ptrdiff_t{first} * column;
  return {&block,
          {block.data + shift + origin * size, row, mirrored ? -column : column,
           key_.interleaved ? 1 : height * width},
          frame};
}

Mask RandomBatch::DrawMask() {
  const bool cells = random_.Chance(0.5), soft = random_.Chance(0.5);
  // Cells larger than pixels, or smaller.
  const int height = cells ? random_.In(1, 2 * height_) : height_;
  const int width = cells ? random_.In(1, 4 * width_) : width_;
  inputs_.emplace_back(static_cast<size_t>(height) * width);
  Block &block = inputs_.back();
  for (size_t i = 0; i < block.size; i++) {
    block.data[i] = static_cast<uint8_t>(soft && random_.Chance(0.3) ? random_.In(0, 255)
                                                                     : 255 * random_.In(0, 1));
  }
  return {block.data, height, width};
}

void RandomBatch::AddSample(int i) {
  const Mix mix = DrawMix();
  Image images[kMaxImages] = {shared_[i]};
  for (int k = 1; k < mix.images; k++) {
    images[k] = shared_[random_.In(0, count_ - 1)];
    // What shows in one box alone may be smaller than the output, and elsewhere.
    const bool behind = mix.weights[k] != 0 && !mix.blends_inside;
    if (behind || mix.masked || !random_.Chance(0.5)) {
      continue;
    }
    if (mix.images == 2 ? mix.boxes == 1 : k <= mix.boxes) {
      images[k] = DrawImage(mix.box[k - 1]);
    }
  }
  const Mask mask = mix.masked ? DrawMask() : Mask{};
  const int area = height_ * width_, channels = key_.out_channels;
  const int size = SizeOf(key_.out, key_.in);
  outputs_.emplace_back(static_cast<size_t>(frames_) * area * channels * size);
  for (int frame = 0; frame < frames_; frame++) {
    const ptrdiff_t first = ptrdiff_t{frame} * area * (key_.planar ? 1 : channels);
    AddFrame(mix, images, mask, outputs_.back().data + first * size, area * frames_, frame);
  }
}

void RandomBatch::AddFrame(const Mix &mix, const Image *images, const Mask &mask, uint8_t *out,
                           int plane, int frame) {
  Source sources[kMaxImages] = {};
  Bytes *bytes = bytes_.emplace_back();
  for (int k = 0; k < call_.images; k++) {
    const Image &image = images[k < mix.images ? k : 0];
    const ptrdiff_t first = ptrdiff_t{frame} * image.frame * SizeOf(key_.in);
    sources[k] = image.source;
    sources[k].origin = static_cast<const uint8_t *>(image.source.origin) + first;
    bytes[k] = {image.block->data, image.block->data + image.block->size};
  }
  const Layers *more = nullptr;
  if (mix.images > 2 || mix.boxes > 1 || mix.masked || mix.blends_inside) {
    Layers &layers = layers_.emplace_back();
    std::copy(sources + 2, sources + kMaxImages, layers.images);
    layers.image_count = mix.images;
    std::copy(mix.box + 1, mix.box + kMaxBoxes, layers.boxes);
    layers.box_count = mix.boxes;
    std::copy(mix.shows, mix.shows + kMaxBoxes, layers.shows);
    layers.copied = mix.copied;
    layers.mask = mask;
    layers.blend = mix.weights[0];
    more = &layers;
  }
  Sample sample = {out,   sources[0], sources[1],  height_, width_,
                   plane, mix.box[0], Shows::kOwn, -1};
  sample.outside = mix.outside;
  samples_.push_back({{sample, more}, bytes, static_cast<int>(samples_.size())});
  for (const double factor : factors_) {
    const Blend pair = BlendOf(factor, mix.weights[0]);
    for (int k = 0; k < call_.images; k++) {
      weights_.push_back(k == 0                      ? pair.own
                         : k == 1 && mix.images == 2 ? pair.partner
                                                     : float(mix.weights[k] * factor));
    }
  }
}

}  // namespace dali_mix
