// The schema of fn.dali_mix.apply, which the CPU and the GPU share: its text is the manual that
// help() shows.
#include "dali/pipeline/operator/op_schema.h"

namespace dali {

DALI_SCHEMA(dali_mix__Apply)
    .DocStr(
        R"(Mixes each image of a batch with its partner, and crops, mirrors, normalizes, lays out and
casts, in one pass.

It replaces ``crop_mirror_normalize`` and shares its argument names, defaults and formula.
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
    .InputDox(1, "second", "TensorList", "The input that comes first in `inputs`.")
    .InputDox(2, "third", "TensorList", "The input that comes second in `inputs`.")
    .InputDox(3, "fourth", "TensorList", "The input that comes third in `inputs`.")
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
    .AddOptionalArg<std::vector<float>>(
        "fill",
        "Value of the pixels that no image covers, one for all channels or one for each. The "
        "output "
        "is then a canvas of `size`; each image, the own one first, has a box and an offset of its "
        "own and any size.",
        nullptr, true)
    .AddOptionalArg<std::vector<int>>("view",
                                      "Height and width of the image, after its crop, that a plan "
                                      "with `fill` was drawn for. Where "
                                      "given, another size is an error.",
                                      nullptr, true)
    .AddOptionalArg<std::vector<float>>(
        "box_blend",
        "Weight of the own image inside the boxes; the partner has the rest. "
        "Where it is above 0, `blend` must be 1. Default: 0.",
        nullptr, true)
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
    .AddOptionalArg<float>("scale", "Factor of the normalized value.", 1.0f)
    .AddOptionalArg<float>("shift", "Added after `scale`.", 0.0f)
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
