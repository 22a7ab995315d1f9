// fn.dali_mix.travel: mixes bounding boxes and points as the images that they belong to.
#include <algorithm>
#include <cmath>

#include "arguments.h"
#include "core/travel.h"
#include "dali/pipeline/operator/checkpointing/stateless_operator.h"

namespace dali_mix {

using dali::CPUBackend;

class Travel : public dali::StatelessOperator<CPUBackend> {
 public:
  explicit Travel(const dali::OpSpec &spec)
      : dali::StatelessOperator<CPUBackend>(spec),
        plan_(PlanColumnsOf(spec)),
        views_(ColumnOf<int>("views", spec)),
        min_visible_(spec.GetArgument<float>("min_visible")) {
    const auto names = spec.GetRepeatedArgument<std::string>("inputs");
    const auto number_of = [&names](const char *name) {
      const int place = PlaceOfInput(names, name);
      return place < 0 ? -1 : 2 + place;  // after the labels
    };
    other_shapes_ = number_of("other_shapes");
    other_labels_ = number_of("other_labels");
    mask_ = number_of("mask");
    weights_ = number_of("weights");
    const int known = (other_shapes_ >= 0) + (other_labels_ >= 0) + (mask_ >= 0) + (weights_ >= 0);
    if (known != static_cast<int>(names.size()) || spec.NumRegularInput() != 2 + known ||
        (other_shapes_ < 0) != (other_labels_ < 0)) {
      Refuse(
          "inputs must name each input after the labels: \"other_shapes\" and \"other_labels\", "
          "\"mask\", \"weights\"; got ",
          names.size(), " names for ", spec.NumRegularInput() - 2, " inputs.");
    }
    if (!(min_visible_ >= 0 && min_visible_ <= 1)) {
      Refuse("min_visible must be in [0, 1], got ", min_visible_, ".");
    }
  }

 protected:
  bool SetupImpl(std::vector<dali::OutputDesc> &, const dali::Workspace &) override {
    return false;  // the number of visible shapes is only known after the work
  }

  void RunImpl(dali::Workspace &ws) override {
    const int count = ws.Input<CPUBackend>(0).num_samples();
    std::vector<Shapes> sources;
    Read(sources, ws, 0, 1, weights_);
    if (other_shapes_ >= 0) {
      Read(sources, ws, other_shapes_, other_labels_, -1);
    }
    const int inputs = other_shapes_ >= 0 ? 2 : 1;
    AcquirePlan(plan_, ws, count);
    AcquireColumn(views_, "views", ws, count);
    if (count > 0 && views_.given && views_.length != 2 * inputs) {
      Refuse("views must hold ", 2 * inputs, " values for each sample, got ", views_.length, ".");
    }
    std::vector<TravelSample> samples;
    for (int i = 0; i < count; i++) {
      samples.push_back(ReadTravel(plan_, views_, i, count, inputs));
      samples.back().mask = MaskOf(ws, i);
      samples.back().min_visible = min_visible_;
    }
    std::vector<Kept> kept(count);
    auto &threads = ws.GetThreadPool();
    for (int i = 0; i < count; i++) {
      threads.AddWork([&, i](int) {
        const TravelSample &sample = samples[i];
        for (int k = sample.mixed.canvas; k < sample.mixed.images; k++) {
          KeepVisible(kept[i], sample, k, sources[sample.mixed.index[k]]);
        }
      });
    }
    threads.RunAll();
    Write(ws, kept);
  }

 private:
  // Appends the shapes of one batch: the numbers of its inputs. `weights`: -1 if there are none.
  void Read(std::vector<Shapes> &sources, const dali::Workspace &ws, int shapes, int labels,
            int weights) {
    const auto &values = ws.Input<CPUBackend>(shapes), &classes = ws.Input<CPUBackend>(labels);
    if (values.type() != DALI_FLOAT || classes.type() != DALI_INT32) {
      Refuse("boxes and points must be FLOAT and labels INT32, got ", values.type(), " and ",
             classes.type(), ".");
    }
    if (values.shape().sample_dim() != 2) {
      Refuse("boxes must have the shape (M, 4), points (M, 2), got ", values.shape().sample_dim(),
             " dimensions.");
    }
    if (shapes == 0) {
      columns_ = 4;
    }
    for (int i = 0; i < values.num_samples(); i++) {
      const auto shape = values.shape().tensor_shape_span(i);
      if (shapes == 0 && i == 0 && shape[1] == 2) {
        columns_ = 2;
      }
      if (shape[1] != columns_) {
        Refuse("boxes must have the shape (M, 4), points (M, 2), got ", values.shape()[i],
               " for sample ", i, ".");
      }
      if (classes.shape()[i].num_elements() != shape[0]) {
        Refuse("labels must have one value for each of the ", shape[0], " shapes, got ",
               classes.shape()[i].num_elements(), " for sample ", i, ".");
      }
      sources.push_back(
          {values.tensor<float>(i), classes.tensor<int>(i), static_cast<int>(shape[0]), columns_});
      if (weights >= 0) {
        sources.back().weights = WeightsOf(ws, weights, i, shape[0]);
      }
      CheckShapes(sources.back(), i);
    }
  }

  static const float *WeightsOf(const dali::Workspace &ws, int input, int i, int64_t count) {
    const auto &weights = ws.Input<CPUBackend>(input);
    if (weights.type() != DALI_FLOAT || weights.shape()[i].num_elements() != count) {
      Refuse("weights must be FLOAT, one for each of the ", count, " shapes, got ",
             weights.shape()[i].num_elements(), " of ", weights.type(), " for sample ", i, ".");
    }
    return weights.tensor<float>(i);
  }

  Mask MaskOf(const dali::Workspace &ws, int i) const {
    if (mask_ < 0) {
      return {};
    }
    const auto &masks = ws.Input<CPUBackend>(mask_);
    const auto shape = masks.shape().tensor_shape_span(i);
    if (masks.type() != DALI_UINT8 || shape.size() != 2) {
      Refuse("mask must hold UINT8 of shape (H, W), own weights of 255, got ", masks.type(), " of ",
             shape.size(), " dimensions.");
    }
    const int height = static_cast<int>(shape[0]), width = static_cast<int>(shape[1]);
    return height > 0 && width > 0 ? Mask{masks.tensor<uint8_t>(i), height, width} : Mask{};
  }

  void Write(dali::Workspace &ws, const std::vector<Kept> &kept) const {
    const int count = static_cast<int>(kept.size());
    dali::TensorListShape<> shapes(count, 2), lists(count, 1);
    for (int i = 0; i < count; i++) {
      const auto left = static_cast<int64_t>(kept[i].labels.size());
      shapes.set_tensor_shape(i, dali::TensorShape<>{left, columns_});
      lists.set_tensor_shape(i, dali::TensorShape<>{left});
    }
    auto &values = ws.Output<CPUBackend>(0), &labels = ws.Output<CPUBackend>(1),
         &weights = ws.Output<CPUBackend>(2);
    values.Resize(shapes, DALI_FLOAT);
    labels.Resize(lists, DALI_INT32);
    weights.Resize(lists, DALI_FLOAT);
    for (int i = 0; i < count; i++) {
      std::copy(kept[i].values.begin(), kept[i].values.end(), values.mutable_tensor<float>(i));
      std::copy(kept[i].labels.begin(), kept[i].labels.end(), labels.mutable_tensor<int>(i));
      std::copy(kept[i].weights.begin(), kept[i].weights.end(), weights.mutable_tensor<float>(i));
    }
  }

  PlanColumns plan_;
  Column<int> views_;
  float min_visible_;
  // Numbers of these inputs; -1: there is none.
  int other_shapes_, other_labels_, mask_, weights_;
  int columns_ = 4;  // 4: boxes; 2: points
};

}  // namespace dali_mix

namespace dali {

DALI_REGISTER_OPERATOR(dali_mix__Travel, dali_mix::Travel, CPU);

DALI_SCHEMA(dali_mix__Travel)
    .DocStr(
        R"(Mixes bounding boxes, or points, as ``apply`` mixes the images they belong to.

Coordinates are relative, in [0, 1], to what ``apply`` sees of each image: after its crop and its
mirror. Those of the own image come first, then those of its partners, as far as something of them
shows:

* a box becomes the smallest one around its pixels that show; its weight is the mean weight of its
  image over its whole area: lam in mixup, the share that is not covered where images are cut;
* a point stays where its image has a weight at its pixel, which becomes its own.)")
    .NumInput(2, 6)
    .NumOutput(3)
    .InputDox(
        0, "shapes", "TensorList of float",
        "Boxes of shape (M, 4), (left, top, right, bottom), or points of shape (M, 2), (x, y).")
    .InputDox(1, "labels", "TensorList of int32", "A label of each, shape (M,).")
    .InputDox(2, "third", "TensorList", "The input that comes first in `inputs`.")
    .InputDox(3, "fourth", "TensorList", "The input that comes second in `inputs`.")
    .InputDox(4, "fifth", "TensorList", "The input that comes third in `inputs`.")
    .InputDox(5, "sixth", "TensorList", "The input that comes fourth in `inputs`.")
    .AddOptionalArg<std::string>(
        "inputs",
        "Names of the inputs after the labels: ``\"other_shapes\"`` and ``\"other_labels\"``, of "
        "the images that ``apply`` takes as ``\"others\"``; ``\"mask\"``, as there; "
        "``\"weights\"``, float, which the shapes have already, and which are multiplied; the "
        "others "
        "have none.",
        std::vector<std::string>{})
    .AddOptionalArg<std::vector<int>>("partner", "As in ``apply``.", nullptr, true)
    .AddOptionalArg<float>("blend", "As in ``apply``.", std::vector<float>{1.0f}, true)
    .AddOptionalArg<int>("box", "As in ``apply``.", std::vector<int>{0, 0, 0, 0}, true)
    .AddArg("size", "``(height, width)`` of the output, in pixels; frames before them are ignored.",
            DALI_INT_VEC, true)
    .AddOptionalArg<std::vector<int>>(
        "fit",
        "As in ``apply``: where nonzero, the box shows the whole of the first partner, resized.",
        nullptr, true)
    .AddOptionalArg<std::vector<int>>("offset", "As in ``apply``.", nullptr, true)
    .AddOptionalArg<std::vector<float>>("fill", "As in ``apply``.", nullptr, true)
    .AddOptionalArg<std::vector<int>>("view", "As in ``apply``; for `views`.", nullptr, true)
    .AddOptionalArg<std::vector<float>>("box_blend", "As in ``apply``.", nullptr, true)
    .AddOptionalArg<float>("min_visible",
                           "Boxes of whose area a smaller share shows are left out. In [0, 1].",
                           0.0f)
    .AddOptionalArg<std::vector<int>>(
        "views",
        "``(height, width)``, in pixels, of what is seen of the image, and of the one of the "
        "others "
        "if there are any, where an `offset` lets them differ from the output. Default: its size.",
        nullptr, true);

}  // namespace dali
