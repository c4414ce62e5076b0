#include "kernels/reduce.h"

#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"
#include "kernels/dispatch/view_check.h"

namespace ganmm::kernels {

namespace {

template <class T>
void check_rows(const char* op, const GroupView<Master<T>>& out, const GroupView<const T>& x) {
  check_view(op, "x", x);
  if (out.groups != x.groups || out.batch != x.batch || out.features() != 1) {
    throw ShapeError(message(op, ": expected out [N=", x.groups, "][B=", x.batch, "][C=1], found ",
                             describe(out), "; give it one number per row of x"));
  }
  check_view(op, "out", out);
}

}  // namespace

template <class T>
void group_mean(Context& ctx, ParamView<Master<T>> out, GroupView<const T> x) {
  const char* op = "group_mean";
  check_view(op, "x", x);
  check_param(op, "out", out, x.groups, 1, "one number per group");
  dispatch<T>(
      ctx, op, traffic(x), [&](auto& c) { cpu::group_mean<T>(c, out, x); },
      [&](auto& c) { cuda::group_mean<T>(c, out, x); });
}

template <class T>
void row_sums(Context& ctx, GroupView<Master<T>> out, GroupView<const T> x) {
  const char* op = "row_sums";
  check_rows(op, out, x);
  dispatch<T>(
      ctx, op, traffic(out, x), [&](auto& c) { cpu::row_sums<T>(c, out, x); },
      [&](auto& c) { cuda::row_sums<T>(c, out, x); });
}

template <class T>
void row_squared_norms(Context& ctx, GroupView<Master<T>> out, GroupView<const T> x) {
  const char* op = "row_squared_norms";
  check_rows(op, out, x);
  dispatch<T>(
      ctx, op, traffic(out, x), [&](auto& c) { cpu::row_squared_norms<T>(c, out, x); },
      [&](auto& c) { cuda::row_squared_norms<T>(c, out, x); });
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void group_mean<T>(Context&, ParamView<Master<T>>, GroupView<const T>);                 \
  template void row_sums<T>(Context&, GroupView<Master<T>>, GroupView<const T>);                   \
  template void row_squared_norms<T>(Context&, GroupView<Master<T>>, GroupView<const T>);

GANMM_FOR_EACH_TYPE(GANMM_INSTANTIATE)

}  // namespace ganmm::kernels
