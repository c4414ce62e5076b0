// Warped images, contract in kernels/warp.h.
//
// A block per image: one thread draws the map, which the others read from shared memory, then its
// threads walk over the pixels. The four reads of a pixel lie next to those of its neighbours and
// come from the caches. Bound by latency for a batch of small images.
#include "kernels/backend.h"
#include "kernels/cuda/elements.h"
#include "kernels/warp.h"

#include <algorithm>

namespace ganmm::kernels::cuda {

namespace {

constexpr int kThreads = 256;

GANMM_KERNEL warp_images_kernel(Rows<float> y, Rows<const float> x, Index groups, Index rows,
                                Index cols, Index channels, WarpAmounts amounts, RandomKey key) {
  GANMM_SHARED(WarpMap, shared_map, 1);
  const Index image = device::block_index_x();
  const Index features = rows * cols * channels;
  for (Index group = device::block_index_y(); group < groups; group += device::grid_size_y()) {
    device::sync_threads();  // the map of the group before has been read
    if (device::thread_index_x() == 0) {
      shared_map[0] = warp_map(amounts, key, static_cast<std::uint32_t>(group),
                               static_cast<std::uint32_t>(image));
    }
    device::sync_threads();
    const WarpMap map = shared_map[0];
    const float* from = &at(x, group, image, 0);
    float* to = &at(y, group, image, 0);
    for (Index f = device::thread_index_x(); f < features; f += kThreads) {
      const Index pixel = f / channels, channel = f - pixel * channels;
      const Index row = pixel / cols, col = pixel - row * cols;
      to[f] = warped_pixel(from + channel, rows, cols, channels, map, row, col);
    }
  }
}

}  // namespace

template <class T>
void warp_images(Context& ctx, GroupView<T> y, GroupView<const T> x, const WarpSettings& settings,
                 const RandomKey& key) {
  if (y.groups == 0 || y.batch == 0 || y.features() == 0) return;
  launch(ctx, "warp_images", {y.batch, std::min(y.groups, kMaxBlocksY), 1, kThreads},
         warp_images_kernel, Rows<float>{y.data, y.group_stride, y.batch_stride},
         Rows<const float>{x.data, x.group_stride, x.batch_stride}, y.groups, y.item[0], y.item[1],
         y.item[2], warp_amounts(settings, y.item), key);
}

template void warp_images<float>(Context&, GroupView<float>, GroupView<const float>,
                                 const WarpSettings&, const RandomKey&);

}  // namespace ganmm::kernels::cuda
