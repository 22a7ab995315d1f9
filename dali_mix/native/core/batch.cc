// Turns the mixes of a call into addresses, frame by frame.
#include "core/batch.h"

#include "core/canvas.h"

namespace dali_mix {

namespace {

// The order of the samples. The first partner of a sample follows it if possible: an image that was
// just read as a partner is then read as the own image while the cache still holds it.
std::vector<int> AlongPartners(const std::vector<SampleMix> &mixes) {
  const int count = static_cast<int>(mixes.size());
  std::vector<int> order;
  std::vector<bool> taken(count);
  order.reserve(count);
  for (int i = 0; i < count; i++) {
    for (int k = i; k < count && !taken[k]; k = mixes[k].index[1]) {
      order.push_back(k);
      taken[k] = true;
    }
  }
  return order;
}

bool NeedsLayers(const SampleMix &mix) {
  return mix.images > 2 || mix.boxes > 1 || mix.masked || mix.blends_inside;
}

// Makes the frames of one sample.
class SampleMaker {
 public:
  SampleMaker(const SampleMix &mix, int sample, const Images &images, const OutputFormat &format,
              const Buffers &buffers)
      : mix_(mix), sample_(sample), images_(images), format_(format), buffers_(buffers) {}

  Sample MakeSample(int frame) const {
    const Extent extent = images_.OutputOf(sample_);
    const int area = extent.height * extent.width;
    const int64_t out = int64_t{frame} * area * (format_.channels_first ? 1 : format_.out_channels);
    Sample sample = {};
    sample.out = static_cast<char *>(buffers_.outputs[sample_]) + out * format_.out_size;
    sample.own = MakeSource(0, frame);
    sample.partner = MakeSource(1, frame);
    sample.height = extent.height;
    sample.width = extent.width;
    sample.plane = format_.channels_first ? area * images_.ShapeOf(sample_).frames : area;
    sample.box = mix_.boxes > 0 && HasBoxes(frame) ? mix_.box[0] : Box{};
    sample.outside = mix_.outside;
    sample.layers = -1;
    return sample;
  }

  Layers MakeLayers(int frame) const {
    Layers layers = {};
    layers.image_count = mix_.images;
    for (int k = 2; k < mix_.images; k++) {
      layers.images[k - 2] = MakeSource(k, frame);
    }
    layers.box_count = HasBoxes(frame) ? mix_.boxes : 0;
    for (int b = 0; b < layers.box_count; b++) {
      if (b > 0) {
        layers.boxes[b - 1] = mix_.box[b];
      }
      layers.shows[b] = mix_.shows[b];
    }
    if (mix_.masked) {
      const Extent mask = images_.masks[sample_];
      layers.mask = {static_cast<const uint8_t *>(buffers_.masks[sample_]), mask.height,
                     mask.width};
    }
    layers.blend = mix_.weights[0];
    // A map has one image of weight 1 behind the boxes. A soft mask leaves the choice of two.
    layers.copied = format_.copied == 1 ? 1 : 0;
    for (int k = 2; k < mix_.images; k++) {
      if (mix_.weights[k] != 0) {
        layers.copied = k;
      }
    }
    return layers;
  }

  // The memory of one of the images.
  Bytes BytesOf(int image) const {
    const auto *begin = static_cast<const uint8_t *>(BufferOf(image));
    if (IsCanvas(image)) {
      const int64_t length = int64_t{images_.OutputOf(sample_).width} *
                             images_.ShapeOf(sample_).channels * format_.in_size;
      return {begin - CanvasRows::kSlack, begin + length + CanvasRows::kSlack};
    }
    return {begin, begin + ShapeOf(image).volume * format_.in_size};
  }

 private:
  bool HasBoxes(int frame) const {
    return mix_.boxed_frames.begin <= frame && frame < mix_.boxed_frames.end;
  }
  // Whether an image was made for the box.
  bool IsFitted(int image) const { return mix_.fitted && image == 1; }
  const ImageShape &ShapeOf(int image) const {
    return IsFitted(image) ? images_.fitted.shapes[sample_] : images_.ShapeOf(mix_.index[image]);
  }
  bool IsCanvas(int image) const { return mix_.canvas && image == 0; }
  const void *BufferOf(int image) const {
    if (IsCanvas(image)) {
      return buffers_.canvases[sample_];
    }
    return IsFitted(image) ? buffers_.fitted[sample_] : buffers_.images[mix_.index[image]];
  }

  // One row, for all rows.
  Source MakeCanvas() const {
    const bool interleaved = images_.ShapeOf(sample_).channel == 1;
    const int channels = images_.ShapeOf(sample_).channels;
    return {BufferOf(0), 0, interleaved ? channels : 1,
            interleaved ? 1 : images_.OutputOf(sample_).width};
  }

  Source MakeSource(int image, int frame) const {
    if (IsCanvas(image)) {
      return MakeCanvas();
    }
    const bool fitted = IsFitted(image);
    const ImageShape &shape = ShapeOf(image);
    const CropWindow window =
        fitted ? CropWindow{0, 0, shape.extent} : images_.WindowOf(mix_.index[image]);
    const int y = fitted ? -mix_.box[0].y0 : mix_.offset[image][0];
    const int x = fitted ? -mix_.box[0].x0 : mix_.offset[image][1];
    const bool mirrored = images_.mirrored[mix_.index[image] % images_.Count()];
    const int first = mirrored ? window.x + window.size.width - 1 - x : window.x + x;
    const int64_t offset = int64_t{frame} * shape.frame + int64_t{window.y + y} * shape.row +
                           int64_t{first} * shape.column;
    return {static_cast<const char *>(BufferOf(image)) + offset * format_.in_size, shape.row,
            mirrored ? -shape.column : shape.column, shape.channel};
  }

  const SampleMix &mix_;
  int sample_;
  const Images &images_;
  const OutputFormat &format_;
  const Buffers &buffers_;
};

}  // namespace

Batch MakeBatch(const std::vector<SampleMix> &mixes, const Images &images,
                const OutputFormat &format, const std::vector<double> &factors,
                const Buffers &buffers) {
  Batch batch;
  batch.samples.reserve(mixes.size());
  batch.bytes.reserve(mixes.size() * format.images);
  batch.weights.reserve(mixes.size() * format.channels * format.images);
  for (const int i : AlongPartners(mixes)) {
    const SampleMix &mix = mixes[i];
    const SampleMaker maker(mix, i, images, format, buffers);
    for (int frame = 0; frame < images.ShapeOf(i).frames; frame++) {
      Sample sample = maker.MakeSample(frame);
      if (NeedsLayers(mix)) {
        sample.layers = static_cast<int>(batch.layers.size());
        batch.layers.push_back(maker.MakeLayers(frame));
      }
      batch.samples.push_back(sample);
      for (int k = 0; k < format.images; k++) {
        batch.bytes.push_back(maker.BytesOf(k));
      }
      for (const double factor : factors) {
        for (int k = 0; k < format.images; k++) {
          batch.weights.push_back(static_cast<float>(mix.weights[k] * factor));
        }
      }
    }
  }
  return batch;
}

}  // namespace dali_mix
