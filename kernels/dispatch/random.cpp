#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"

namespace ganmm::kernels {
namespace {

template <class T>
void check_fill(const char* op, const GroupView<T>& y) {
  // Quads are numbered in 32 bits, so a group's stream has 2^34 elements.
  require<ShapeError>(checked_multiply(y.batch, y.features()) <= (Index{1} << 34), op, ": ",
                      y.batch, " items of ", y.features(),
                      " elements per group: expected at most 2^34 elements; split the fill");
  require<ShapeError>(y.groups <= 1 || y.group_stride != 0 || y.batch == 0, op,
                      ": output shared by all groups (stride 0); give every group its own memory");
}

}  // namespace

template <class T>
void fill_uniform(Context& ctx, GroupView<T> y, double low, double high, const RandomKey& key) {
  check_fill("fill_uniform", y);
  dispatch<T>(
      ctx, "fill_uniform", traffic(y), [&](auto& c) { cpu::fill_uniform<T>(c, y, low, high, key); },
      [&](auto& c) { cuda::fill_uniform<T>(c, y, low, high, key); });
}

template <class T>
void fill_normal(Context& ctx, GroupView<T> y, double mean, double deviation,
                 const RandomKey& key) {
  check_fill("fill_normal", y);
  dispatch<T>(
      ctx, "fill_normal", traffic(y),
      [&](auto& c) { cpu::fill_normal<T>(c, y, mean, deviation, key); },
      [&](auto& c) { cuda::fill_normal<T>(c, y, mean, deviation, key); });
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void fill_uniform<T>(Context&, GroupView<T>, double, double, const RandomKey&);         \
  template void fill_normal<T>(Context&, GroupView<T>, double, double, const RandomKey&);

GANMM_FOR_EACH_TYPE(GANMM_INSTANTIATE)

}  // namespace ganmm::kernels
