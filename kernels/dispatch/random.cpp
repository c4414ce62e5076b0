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
  dispatch_cpu_only(ctx, "fill_uniform", [&] { cpu::fill_uniform<T>(ctx, y, low, high, key); });
}

template <class T>
void fill_normal(Context& ctx, GroupView<T> y, double mean, double deviation,
                 const RandomKey& key) {
  check_fill("fill_normal", y);
  dispatch_cpu_only(ctx, "fill_normal", [&] { cpu::fill_normal<T>(ctx, y, mean, deviation, key); });
}

template void fill_uniform<float>(Context&, GroupView<float>, double, double, const RandomKey&);
template void fill_uniform<double>(Context&, GroupView<double>, double, double, const RandomKey&);
template void fill_normal<float>(Context&, GroupView<float>, double, double, const RandomKey&);
template void fill_normal<double>(Context&, GroupView<double>, double, double, const RandomKey&);

}  // namespace ganmm::kernels
