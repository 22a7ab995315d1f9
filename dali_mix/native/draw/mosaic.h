// Draws mosaics: images of any sizes around one point of a canvas.
#ifndef DALI_MIX_NATIVE_DRAW_MOSAIC_H_
#define DALI_MIX_NATIVE_DRAW_MOSAIC_H_

#include <vector>

#include "draw/drawn.h"

namespace dali_mix {

// Height and width of the output.
DALI_MIX_API Extent OutputOf(const Method &method);

// Draws the place of each image on the canvas, from the streams of sample `unit`, and counts the
// shares. `tiles`: the sizes of all images, the own one first.
DALI_MIX_API DrawnSample DrawMosaic(const Method &method, int number,
                                    const std::vector<Extent> &tiles, const RandomStreams &streams,
                                    int unit);

// The own image alone, in the middle of the output.
DALI_MIX_API DrawnSample PlaceAlone(const Method &method, Extent tile);

}  // namespace dali_mix

#endif  // DALI_MIX_NATIVE_DRAW_MOSAIC_H_
