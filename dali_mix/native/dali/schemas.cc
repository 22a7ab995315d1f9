// The schemas of both operators: their text is the manual that help() shows.
#include "dali/pipeline/operator/op_schema.h"

namespace dali_mix {

int CountPlanOutputs(const dali::OpSpec &spec);

}  // namespace dali_mix

namespace dali {

DALI_SCHEMA(dali_mix__CropSize)
    .DocStr("Arguments that give the size of the output, alike in plan and apply.")
    .AddOptionalArg<std::vector<float>>(
        "crop",
        "Size of the output as (height, width) in pixels, one for all samples or a tensor for "
        "each. "
        "Cannot be combined with `crop_h` and `crop_w`. Default: the size of the image.",
        nullptr, true)
    .AddOptionalArg<float>("crop_h", "Height of the output in pixels; goes with `crop_w`.", nullptr,
                           true)
    .AddOptionalArg<float>("crop_w", "Width of the output in pixels; goes with `crop_h`.", nullptr,
                           true);

DALI_SCHEMA(dali_mix__Plan)
    .DocStr(
        R"(Draws how the images of a batch are mixed: the partner of each, and with what weights.

Nothing but this operator is random. It looks at the number and the shapes of the images, never at
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

The plan is a pure function of the random state, the batch size, the sizes and the arguments: the
same on every machine and for every number of threads. A batch of one is left unmixed,
unless its partners come from another batch.

What the methods draw is said by the classes of these names in ``dali_mix``.)")
    .NumInput(0, 1)
    .NumOutput(5)
    .OutputFn(dali_mix::CountPlanOutputs)
    .InputDox(0, "images", "TensorList",
              "Images whose number and sizes the plan is for. Only their shapes are read, so they "
              "may be on the GPU. Optional when `crop` or `crop_h` and `crop_w` give the size.")
    .InputDevice(0, InputDevice::Metadata)
    .AddOptionalArg<std::string>(
        "methods",
        "One or several of ``\"mixup\"``, ``\"cutmix\"``, ``\"resizemix\"``, ``\"patchmix\"``, "
        "``\"gridmix\"``, ``\"fmix\"``, ``\"smoothmix\"``, ``\"multimix\"``, ``\"ricap\"``, each "
        "with "
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
        "What shares one draw of weight and box: ``\"sample\"``, ``\"pair\"`` (a random matching "
        "whose two members share everything; an odd one is left unmixed) or ``\"batch\"``.",
        "sample")
    .AddOptionalArg<std::string>("prob_per",
                                 "What `prob` decides on: ``\"sample\"`` or ``\"batch\"``.",
                                 "sample")
    .AddOptionalArg<std::string>("choose_per",
                                 "What takes one method: ``\"sample\"`` or ``\"batch\"``.",
                                 "sample")
    .AddOptionalArg<std::string>(
        "pairing",
        "How partners are drawn: ``\"derange\"`` (a uniform permutation without fixed points), "
        "``\"shuffle\"`` (with fixed points, which stay unmixed), ``\"reverse\"`` (the batch "
        "backwards, as timm), ``\"roll\"`` (the image before, as torchvision), ``\"same_class\"`` "
        "and "
        "``\"other_class\"`` (any such sample; unmixed where there is none), or ``\"others\"`` "
        "(the "
        "image across, in the other batch that ``apply`` is given). With K > 2 images the partners "
        "of a sample are K - 1 different images, as far as there are so many: those that follow "
        "one another in a uniformly drawn cyclic order; where the first follows from the place, "
        "and by class, each sample draws them by itself.",
        "derange")
    .AddOptionalArg<std::vector<int>>(
        "partner",
        "Given partners, not drawn: an index into the batch for each sample, or into the others "
        "behind it; with K images in one sample K - 1 of them.",
        nullptr, true)
    .AddOptionalArg<std::vector<int>>("classes", "Class of each sample, for partners by class.",
                                      nullptr, true)
    .AddOptionalArg<float>("lam",
                           "Given weight, not drawn: mixup's weight of the own image, or the share "
                           "that the box of cutmix leaves it before clipping; in [0, 1].",
                           nullptr, true)
    .AddOptionalArg<std::vector<int>>(
        "box",
        "Given box of cutmix, not drawn: ``(y0, x0, y1, x1)`` in output pixels, half-open; what "
        "leaves the image is clipped. Cannot be combined with `lam`.",
        nullptr, true)
    .AddRandomSeedArg()
    .AddRandomStateArg()
    .AddParent("dali_mix__CropSize");

DALI_SCHEMA(dali_mix__Apply)
    .DocStr(
        R"(Mixes each image of a batch with its partner, and crops, mirrors, normalizes, lays out and
casts, in one pass.

It takes the place of ``crop_mirror_normalize`` and shares its argument names, defaults and formula.
For sample i with partner j, output pixel (y, x) and channel c::

    w = 0 inside the box (the partner shows), blend[i] outside it
    a, b = pixel of image i, of image j, each after its own crop window and its own mirror flag
    k = scale / std[c],  s = shift - mean[c] * k
    output = fma(a, w * k, fma(b, (1 - w) * k, s)), then cast to dtype

The result is that of mixing the FLOAT outputs of ``crop_mirror_normalize`` and casting afterwards;
without a partner it is that of ``crop_mirror_normalize``. CPU and GPU agree to the bit. Integer
outputs saturate and round halves to even. Where w is 1 or 0 only one image is read. The images are
not written to; the two of a pair must have equal shapes after cropping.

The operator is deterministic; ``plan`` makes its `partner`, `blend`, `box` and `size`, and so can
any other operator or the user. uint8 images with 1, 3 or 4 interleaved channels, and uint8 planes
that stay planes, take vector code; everything else is right but slower.)")
    .NumInput(1, 4)
    .NumOutput(1)
    .InputDox(0, "images", "TensorList of uint8, float or float16",
              "Batch of images with equal numbers of channels, or of videos or volumes.")
    .InputLayout(0, {"HWC", "CHW", "FHWC", "FCHW", "CFHW", "DHWC", "DCHW", "CDHW", "HW"})
    .InputDox(1, "second", "TensorList", "What `inputs` names first.")
    .InputDox(2, "third", "TensorList", "What `inputs` names second.")
    .InputDox(3, "fourth", "TensorList", "What `inputs` names third.")
    .AddOptionalArg<std::string>(
        "inputs",
        "Names of the inputs after the images: ``\"others\"``, images with the indices behind "
        "those "
        "of the batch, cropped and mirrored as those; ``\"fitted\"``, images of the size of the "
        "box, "
        "for samples that `fit`; ``\"mask\"``, uint8 of shape (H, W), the own weight in 1/255, "
        "which "
        "multiplies `blend`, for whole images or for cells; of shape (0, 0): none.",
        std::vector<std::string>{})
    .AddOptionalArg<std::vector<int>>(
        "partner",
        "Index, in the batch, of the image mixed in; or several, with as many boxes and one more "
        "weight. Default: none, each image is its own partner and stays unmixed.",
        nullptr, true)
    .AddOptionalArg<float>(
        "blend",
        "Weight, in [0, 1], of the own image outside the box; with several partners, weights of "
        "all images, own first, that sum to 1.",
        std::vector<float>{1.0f}, true)
    .AddOptionalArg<int>(
        "box",
        "Where the partner shows: ``(y0, x0, y1, x1)`` in output pixels, half-open, inside the "
        "output; several boxes of one partner, or one for each partner, where later ones cover "
        "earlier ones. All zero: no box.",
        std::vector<int>{0, 0, 0, 0}, true)
    .AddOptionalArg<std::vector<int>>(
        "size",
        "Height and width, or frames, height and width, that the plan was drawn for. Where given, "
        "another output size is an error.",
        nullptr, true)
    .AddOptionalArg<std::vector<int>>(
        "fit", "Where nonzero, the box shows the image of ``fitted``, from its first pixel.",
        nullptr, true)
    .AddOptionalArg<std::vector<int>>(
        "offset",
        "For each partner ``(y, x)``: which of its pixels shows in its box, relative to the place.",
        nullptr, true)
    .AddOptionalArg<std::vector<int>>(
        "frames", "``(begin, end)`` of the frames that have the box. Default: all.", nullptr, true)
    .AddOptionalArg<int>("copied",
                         "At least 0: `images` are maps of integers that are copied, never "
                         "blended; where images are "
                         "blended this one of them shows, 0 the own, 1 the first partner.",
                         -1)
    .AddOptionalArg<float>("mean", "Mean pixel value: one for all channels, or one for each.",
                           std::vector<float>{0.0f})
    .AddOptionalArg<float>("std",
                           "Standard deviation: one for all channels, or one for each; not 0.",
                           std::vector<float>{1.0f})
    .AddOptionalArg<float>("scale", "What the normalized value is multiplied with.", 1.0f)
    .AddOptionalArg<float>("shift", "What is added after `scale`.", 0.0f)
    .AddOptionalTypeArg("dtype", "Type of the output: FLOAT, FLOAT16, UINT8 or INT8.", DALI_FLOAT)
    .AddOptionalArg<TensorLayout>("output_layout",
                                  "Layout of the output: \"CHW\" or \"HWC\", of each frame where "
                                  "there are several; \"CFHW\" or "
                                  "\"CDHW\" takes the channels out of the frames.",
                                  TensorLayout("CHW"))
    .AddOptionalArg<int>("mirror", "Where nonzero, the image is flipped horizontally.", 0, true)
    .AddOptionalArg<bool>(
        "pad_output",
        "Whether to add channels of zeros until their number is a power of two (RGB becomes four "
        "channels).",
        false)
    .AddOptionalArg<float>("crop_pos_x",
                           "Horizontal place of the crop window, in [0, 1]: it begins at "
                           "``round(crop_pos_x * (W - crop_w))``.",
                           0.5f, true)
    .AddOptionalArg<float>("crop_pos_y",
                           "Vertical place of the crop window, in [0, 1]: it begins at "
                           "``round(crop_pos_y * (H - crop_h))``.",
                           0.5f, true)
    .AddParent("dali_mix__CropSize");

}  // namespace dali
