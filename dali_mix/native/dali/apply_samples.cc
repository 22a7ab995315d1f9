// Address arithmetic of fn.dali_mix.apply: from checked mixes to samples, frame by frame.
#include <algorithm>

#include "apply_op.h"

namespace dali_mix {

Source ApplyArguments::MakeSource(const SampleMix &mix, int i, int image, int frame,
                                  const Buffers &buffers) const {
  const int batch = BatchSize(), index = mix.index[image];
  const bool fitted = mix.fitted && image == 1;
  const ImageShape &shape = fitted ? fitted_.shapes[i] : ShapeOf(index);
  const CropWindow &window = fitted ? fitted_.windows[i] : WindowOf(index);
  const void *begin = fitted ? buffers.fitted[i] : buffers.images[index];
  const int y = fitted ? -mix.box[0].y0 : mix.offset[image][0];
  const int x = fitted ? -mix.box[0].x0 : mix.offset[image][1];
  const bool mirrored = mirror_[index % batch].data[0] != 0;
  const int first = mirrored ? window.x + window.size.width - 1 - x : window.x + x;
  const int64_t offset = int64_t{frame} * shape.frame + int64_t{window.y + y} * shape.row +
                         int64_t{first} * shape.column;
  return {static_cast<const char *>(begin) + offset * SizeOf(in_type_), shape.row,
          mirrored ? -shape.column : shape.column, shape.channel};
}

bool ApplyArguments::NeedsLayers(const SampleMix &mix) const {
  return mix.images > 2 || mix.boxes > 1 || mix.masked;
}

Sample ApplyArguments::MakeSample(const SampleMix &mix, int i, int frame,
                                  const Buffers &buffers) const {
  const ImageShape &shape = inputs_[0].shapes[i];
  const Extent extent = inputs_[0].windows[i].size;
  const int area = extent.height * extent.width;
  const bool channels_first = out_layout_[0] == 'C';
  const int64_t out = int64_t{frame} * area * (channels_first ? 1 : OutChannels());
  const int out_size =
      copies_ ? SizeOf(in_type_) : static_cast<int>(dali::TypeTable::GetTypeInfo(dtype_).size());
  const bool boxed = mix.boxes > 0 && mix.first_frame <= frame && frame < mix.end_frame;
  return {static_cast<char *>(buffers.outputs[i]) + out * out_size,
          MakeSource(mix, i, 0, frame, buffers),
          MakeSource(mix, i, 1, frame, buffers),
          extent.height,
          extent.width,
          channels_first ? area * shape.frames : area,
          boxed ? mix.box[0] : Box{},
          mix.outside,
          -1};
}

Layers ApplyArguments::MakeLayers(const SampleMix &mix, int i, int frame,
                                  const Buffers &buffers) const {
  Layers layers = {};
  layers.image_count = mix.images;
  for (int k = 2; k < mix.images; k++) {
    layers.images[k - 2] = MakeSource(mix, i, k, frame, buffers);
  }
  const bool boxed = mix.first_frame <= frame && frame < mix.end_frame;
  layers.box_count = boxed ? mix.boxes : 0;
  for (int b = 0; b < layers.box_count; b++) {
    if (b > 0) {
      layers.boxes[b - 1] = mix.box[b];
    }
    layers.shows[b] = mix.shows[b];
  }
  if (mix.masked) {
    layers.mask = {static_cast<const uint8_t *>(buffers.masks[i]), masks_[i].height,
                   masks_[i].width};
  }
  layers.blend = static_cast<float>(mix.weights[0]);
  // A map has one image of weight 1 behind the boxes; a soft mask has two to choose from.
  layers.copied = copied_ == 1 ? 1 : 0;
  for (int k = 2; k < mix.images; k++) {
    if (mix.weights[k] != 0) {
      layers.copied = k;
    }
  }
  return layers;
}

std::vector<int> ApplyArguments::AlongPartners() const {
  std::vector<int> order;
  std::vector<bool> taken(mixes_.size());
  order.reserve(mixes_.size());
  for (int i = 0; i < BatchSize(); i++) {
    for (int k = i; k < BatchSize() && !taken[k]; k = mixes_[k].index[1]) {
      order.push_back(k);
      taken[k] = true;
    }
  }
  return order;
}

Batch ApplyArguments::MakeBatch(const Buffers &buffers) const {
  Batch batch;
  const size_t count = mixes_.size();
  batch.samples.reserve(count);
  const int images = plan_.Images();
  batch.bytes.reserve(count * images);
  batch.weights.reserve(count * channels_ * images);
  for (const int i : AlongPartners()) {
    const SampleMix &mix = mixes_[i];
    for (int frame = 0; frame < inputs_[0].shapes[i].frames; frame++) {
      Sample sample = MakeSample(mix, i, frame, buffers);
      if (NeedsLayers(mix)) {
        sample.layers = static_cast<int>(batch.layers.size());
        batch.layers.push_back(MakeLayers(mix, i, frame, buffers));
      }
      batch.samples.push_back(sample);
      for (int k = 0; k < images; k++) {
        const bool fitted = mix.fitted && k == 1;
        const auto *begin =
            static_cast<const uint8_t *>(fitted ? buffers.fitted[i] : buffers.images[mix.index[k]]);
        const int64_t values = fitted ? fitted_.shapes[i].volume : ShapeOf(mix.index[k]).volume;
        batch.bytes.push_back({begin, begin + values * SizeOf(in_type_)});
      }
      for (const double factor : factors_) {
        for (int k = 0; k < images; k++) {
          batch.weights.push_back(static_cast<float>(mix.weights[k] * factor));
        }
      }
    }
  }
  return batch;
}

}  // namespace dali_mix
