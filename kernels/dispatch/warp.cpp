#include "kernels/warp.h"

#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"
#include "kernels/dispatch/view_check.h"

namespace ganmm::kernels {

template <class T>
void warp_images(Context& ctx, GroupView<T> y, GroupView<const T> x, const WarpSettings& settings,
                 const RandomKey& key) {
  const char* op = "warp_images";
  check_view(op, "x", x);
  check_like(op, "y", y, "x", x);
  require<ShapeError>(x.item.rank() == 3 && x.batch < Index{1} << 31, op,
                      ": expected fewer than 2^31 images HxWxC, found ", x.batch, " of ",
                      to_string(x.item));
  dispatch<T>(
      ctx, op, traffic(x, y), [&](auto& c) { cpu::warp_images<T>(c, y, x, settings, key); },
      [&](auto& c) { cuda::warp_images<T>(c, y, x, settings, key); });
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void warp_images<T>(Context&, GroupView<T>, GroupView<const T>, const WarpSettings&,    \
                               const RandomKey&);

GANMM_FOR_EACH_WIDE_TYPE(GANMM_INSTANTIATE)

}  // namespace ganmm::kernels
