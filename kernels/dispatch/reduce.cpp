#include "kernels/reduce.h"

#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"
#include "kernels/dispatch/view_check.h"

namespace ganmm::kernels {

namespace {

template <class T>
void check_rows(const char* op, const GroupView<T>& out, const GroupView<const T>& x) {
  check_view(op, "x", x);
  if (out.groups != x.groups || out.batch != x.batch || out.features() != 1) {
    throw ShapeError(message(op, ": expected out [N=", x.groups, "][B=", x.batch, "][C=1], found ",
                             describe(out), "; give it one number per row of x"));
  }
  check_view(op, "out", out);
}

}  // namespace

template <class T>
void group_mean(Context& ctx, ParamView<T> out, GroupView<const T> x) {
  const char* op = "group_mean";
  check_view(op, "x", x);
  check_param(op, "out", out, x.groups, 1, "one number per group");
  dispatch_cpu_only(ctx, op, [&] { cpu::group_mean<T>(ctx, out, x); });
}

template <class T>
void row_sums(Context& ctx, GroupView<T> out, GroupView<const T> x) {
  const char* op = "row_sums";
  check_rows(op, out, x);
  dispatch_cpu_only(ctx, op, [&] { cpu::row_sums<T>(ctx, out, x); });
}

template <class T>
void row_squared_norms(Context& ctx, GroupView<T> out, GroupView<const T> x) {
  const char* op = "row_squared_norms";
  check_rows(op, out, x);
  dispatch_cpu_only(ctx, op, [&] { cpu::row_squared_norms<T>(ctx, out, x); });
}

template void group_mean<float>(Context&, ParamView<float>, GroupView<const float>);
template void group_mean<double>(Context&, ParamView<double>, GroupView<const double>);
template void row_sums<float>(Context&, GroupView<float>, GroupView<const float>);
template void row_sums<double>(Context&, GroupView<double>, GroupView<const double>);
template void row_squared_norms<float>(Context&, GroupView<float>, GroupView<const float>);
template void row_squared_norms<double>(Context&, GroupView<double>, GroupView<const double>);

}  // namespace ganmm::kernels
