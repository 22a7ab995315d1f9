// The schema of fn.dali_mix.plan: its text is the manual that help() shows.
#include <string>
#include <vector>

#include "dali/pipeline/operator/op_schema.h"
#include "dali/pipeline/operator/op_spec.h"
#include "draw/method.h"

namespace {

int CountOutputs(const dali::OpSpec &spec) {
  const auto methods = dali_mix::ParseMethods(spec.GetRepeatedArgument<std::string>("methods"));
  const dali_mix::FurtherColumns further = dali_mix::FurtherColumnsOf(methods);
  return 5 + further.Count();
}

}  // namespace

namespace dali {

DALI_SCHEMA(dali_mix__Plan)
    .DocStr(
        R"(Draws how the images of a batch are mixed: the partner of each, and with what weights.

Only this operator is random. It looks at the number and the shapes of the images, never at
their pixels, so GPU images cost no synchronization. Its outputs, one sample for each image, go to
``apply`` under the same names:

* ``partner`` (int32, scalar): index, in the batch, of the image mixed in. An unmixed image is its
  own partner.
* ``blend`` (float, scalar): weight of the own image outside the box.
* ``box`` (int32, 4 values): ``(y0, x0, y1, x1)`` in output pixels, half-open, where the partner
  shows. All zero: no box. Shape (n, 4) where a method draws n boxes.
* ``lam`` (float, scalar): weight of the own label, in [0, 1]; the exact share of own pixels.
* ``size`` (int32): height and width of the output that the plan is for, for sequences with the
  number of frames before them.

With a method that mixes K > 2 images these are K - 1 partners, K weights, K - 1 boxes, one for each
partner, and K shares, the own first. Then follow, if a method draws them, in this order:

* ``offset`` (int32, (K - 1, 2)): which pixels of a partner show in its box, relative to the place.
* ``fit`` (int32, 2 values): height and width that the whole partner is to be resized to, those of
  the box; (0, 0): it shows as it is.
* ``frames`` (int32, 2 values): ``(begin, end)`` of the frames that have the box.
* ``mask`` (uint8, (H, W)): own weight in 1/255, for pixels or cells; (0, 0): none.
* ``fill`` (float): value of the pixels that no image covers, and ``view`` (int32, 2 values): height
  and width of the image. ``box`` and ``offset`` then have a row for each image, the own one first;
  outside the boxes no image has a weight, and the shares sum to 1 at most.
* ``box_blend`` (float, scalar): weight of the own image inside the box.

The plan is a pure function of the random state, the batch size, the sizes and the arguments: the
same on every machine and for every number of threads. A batch of one is left unmixed,
unless its partners come from another batch.

The classes of these names in ``dali_mix`` say what the methods draw.)")
    .NumInput(0, 1)
    .NumOutput(5)
    .OutputFn(CountOutputs)
    .InputDox(0, "images", "TensorList",
              "Images whose number and sizes the plan is for. Only their shapes are read, so they "
              "may be on the GPU. Optional when `crop` or `crop_h` and `crop_w` give the size.")
    .InputDevice(0, InputDevice::Metadata)
    .AddOptionalArg<std::string>(
        "methods",
        "One or several of ``\"mixup\"``, ``\"cutmix\"``, ``\"resizemix\"``, ``\"patchmix\"``, "
        "``\"gridmix\"``, ``\"fmix\"``, ``\"smoothmix\"``, ``\"multimix\"``, ``\"ricap\"``, "
        "``\"mosaic\"``, each with "
        "its options behind it, as ``\"cutmix place=inside boxes=2\"``; each sample takes one.",
        std::vector<std::string>{"mixup"})
    .AddOptionalArg<float>(
        "alpha",
        "Parameter of ``Beta(alpha, alpha)``, one for all methods or one for each; finite, not "
        "negative. 0 switches mixing off.",
        std::vector<float>{1.0f}, true)
    .AddOptionalArg<int>(
        "fold",
        "For each method whether to replace a draw t by ``max(t, 1 - t)``, so that the own image "
        "dominates and near-duplicates vanish.",
        std::vector<int>{0})
    .AddOptionalArg<float>(
        "weights", "Relative weights in the choice among the methods, one for each; not negative.",
        std::vector<float>{1.0f}, true)
    .AddOptionalArg<float>("prob", "Probability, in [0, 1], that a sample is mixed at all.", 1.0f,
                           true)
    .AddOptionalArg<std::string>(
        "per",
        "The samples that share one draw of weight and box: ``\"sample\"``, ``\"pair\"`` (a random "
        "matching "
        "whose two members share everything; an odd one is left unmixed) or ``\"batch\"``.",
        "sample")
    .AddOptionalArg<std::string>(
        "prob_per", "Whether `prob` decides for each ``\"sample\"`` or for the ``\"batch\"``.",
        "sample")
    .AddOptionalArg<std::string>(
        "choose_per",
        "Whether each ``\"sample\"`` takes a method or the whole ``\"batch\"`` takes one.",
        "sample")
    .AddOptionalArg<std::string>(
        "pairing",
        "How partners are drawn: ``\"derange\"`` (a uniform permutation without fixed points), "
        "``\"shuffle\"`` (with fixed points, which stay unmixed), ``\"reverse\"`` (the batch "
        "backwards, as timm), ``\"roll\"`` (the image before, as torchvision), ``\"aspect\"`` "
        "(neighbours in the order of height over width, in pairs; an odd one stays unmixed), "
        "``\"same_class\"`` and ``\"other_class\"`` (any such sample; unmixed where there is "
        "none), "
        "or ``\"others\"`` (the "
        "image across, in the other batch that ``apply`` is given). With K > 2 images the partners "
        "of a sample are K - 1 different images, as far as there are so many: those that follow "
        "one another in a uniformly drawn cyclic order; where the first follows from the place, "
        "and by class, each sample draws them by itself.",
        "derange")
    .AddOptionalArg<std::vector<int>>("partner",
                                      "Partners to use instead of drawn ones: an index into the "
                                      "batch for each sample, or into the others "
                                      "behind it; with K images in one sample K - 1 of them.",
                                      nullptr, true)
    .AddOptionalArg<std::vector<int>>("classes", "Class of each sample, for partners by class.",
                                      nullptr, true)
    .AddOptionalArg<float>(
        "lam",
        "Weight to use instead of a drawn one: mixup's weight of the own image, or the share "
        "that the box of cutmix leaves it before clipping; in [0, 1].",
        nullptr, true)
    .AddOptionalArg<std::vector<int>>("box",
                                      "Box of cutmix to use instead of a drawn one: ``(y0, x0, y1, "
                                      "x1)`` in output pixels, half-open; what "
                                      "leaves the image is clipped. Cannot be combined with `lam`.",
                                      nullptr, true)
    .AddRandomSeedArg()
    .AddRandomStateArg()
    .AddParent("dali_mix__CropSize");

}  // namespace dali
