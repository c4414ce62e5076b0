// Which windows of a convolution see a pixel.
#pragma once

#include "kernels/conv.h"
#include "kernels/cuda/divider.h"

namespace ganmm::kernels::cuda {

struct PixelWindows {
  int out_h, out_w, kernel, stride, pad_top, pad_left;
  Divider by_stride;

  explicit PixelWindows(const ConvGeometry& g)
      : out_h(static_cast<int>(g.out_h)), out_w(static_cast<int>(g.out_w)),
        kernel(static_cast<int>(g.kernel)), stride(static_cast<int>(g.stride)),
        pad_top(static_cast<int>(g.pad_top)), pad_left(static_cast<int>(g.pad_left)),
        by_stride(g.stride) {}
};

// Calls f(ho, wo, kh, kw) for every window (ho, wo) that contains pixel (h, w), as its tap
// (kh, kw); in ascending order of the taps.
template <class F>
GANMM_DEVICE void for_each_window(const PixelWindows& windows, int h, int w, F f) {
  const int top = h + windows.pad_top, left = w + windows.pad_left;
  const int last_ho = top / windows.by_stride, last_wo = left / windows.by_stride;
  // A window that begins `stride` earlier sees the pixel `stride` taps later.
  for (int kh = top - last_ho * windows.stride, ho = last_ho; kh < windows.kernel && ho >= 0;
       kh += windows.stride, --ho) {
    if (ho >= windows.out_h) continue;
    for (int kw = left - last_wo * windows.stride, wo = last_wo; kw < windows.kernel && wo >= 0;
         kw += windows.stride, --wo) {
      if (wo < windows.out_w) f(ho, wo, kh, kw);
    }
  }
}

}  // namespace ganmm::kernels::cuda
