#include "kernels/warp.h"

#include "kernels/backend.h"

namespace ganmm::kernels::cpu {

template <class T>
void warp_images(Context&, GroupView<T> y, GroupView<const T> x, const WarpSettings& settings,
                 const RandomKey& key) {
  const Index rows = y.item[0], cols = y.item[1], channels = y.item[2];
  const WarpAmounts amounts = warp_amounts(settings, y.item);
  for (Index g = 0; g < y.groups; ++g) {
    for (Index b = 0; b < y.batch; ++b) {
      const WarpMap map =
          warp_map(amounts, key, static_cast<std::uint32_t>(g), static_cast<std::uint32_t>(b));
      const T* image = x.row(g, b);
      T* out = y.row(g, b);
      for (Index row = 0; row < rows; ++row) {
        for (Index col = 0; col < cols; ++col) {
          for (Index c = 0; c < channels; ++c) {
            *out++ = warped_pixel(image + c, rows, cols, channels, map, row, col);
          }
        }
      }
    }
  }
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void warp_images<T>(Context&, GroupView<T>, GroupView<const T>, const WarpSettings&,    \
                               const RandomKey&);
GANMM_INSTANTIATE(float)
GANMM_INSTANTIATE(double)

}  // namespace ganmm::kernels::cpu
