#include "kernels/student.h"

#include "kernels/backend.h"
#include "kernels/dispatch/dispatch.h"
#include "kernels/dispatch/view_check.h"

namespace ganmm::kernels {

namespace {

// Centres [N][k][D] for `share` [N][B][k] and `code` [N][B][D].
template <class T, class S>
void check_clusters(const char* op, const char* name, const GroupView<S>& share,
                    const GroupView<const T>& code, const ParamView<const T>& centre) {
  check_view(op, name, share);
  check_view(op, "code", code);
  check_param(op, "centre", centre, code.groups, share.features() * code.features(),
              "a centre of as many features for every cluster");
  if (share.groups == code.groups && share.batch == code.batch && share.features() >= 1) return;
  throw ShapeError(message(op, ": expected ", name, " [N=", code.groups, "][B=", code.batch,
                           "][k >= 1] for code ", describe(code), ", found ", describe(share),
                           "; give every row a share in every cluster"));
}

template <class T, class S>
OpCost cost_of(const GroupView<S>& share, const GroupView<const T>& code) {
  const double distances = static_cast<double>(share.groups * share.batch * share.features());
  return {bytes_of(share) + bytes_of(code), 3 * distances * static_cast<double>(code.features())};
}

}  // namespace

template <class T>
void student_assign(Context& ctx, GroupView<T> q, std::int32_t* label, Index label_stride,
                    GroupView<const T> code, ParamView<const T> centre) {
  const char* op = "student_assign";
  check_clusters<T>(op, "q", q, code, centre);
  const bool empty = q.groups == 0 || q.batch == 0;
  require<ShapeError>(empty || (label != nullptr && (q.groups == 1 || label_stride >= q.batch)), op,
                      ": expected memory for labels [N=", q.groups, "][B=", q.batch,
                      "] that do not overlap, found a null pointer or stride ", label_stride);
  dispatch<T>(
      ctx, op, cost_of<T>(q, code),
      [&](auto& c) { cpu::student_assign<T>(c, q, label, label_stride, code, centre); },
      [&](auto& c) { cuda::student_assign<T>(c, q, label, label_stride, code, centre); });
}

template <class T>
void student_target(Context& ctx, GroupView<T> p, GroupView<const T> q,
                    ParamView<const T> frequency) {
  const char* op = "student_target";
  check_view(op, "q", q);
  check_like(op, "p", p, "q", q);
  check_param(op, "frequency", frequency, q.groups, q.features(), "a sum for every cluster");
  dispatch<T>(
      ctx, op, traffic(p, q), [&](auto& c) { cpu::student_target<T>(c, p, q, frequency); },
      [&](auto& c) { cuda::student_target<T>(c, p, q, frequency); });
}

template <class T>
void student_code_gradient(Context& ctx, GroupView<T> d_code, GroupView<T> weight,
                           GroupView<const T> code, ParamView<const T> centre,
                           GroupView<const T> target, double scale) {
  const char* op = "student_code_gradient";
  check_clusters<T>(op, "target", target, code, centre);
  check_like(op, "weight", weight, "target", target);
  check_like(op, "d_code", d_code, "code", code);
  dispatch<T>(
      ctx, op, cost_of<T>(target, code),
      [&](auto& c) {
        cpu::student_code_gradient<T>(c, d_code, weight, code, centre, target, scale);
      },
      [&](auto& c) {
        cuda::student_code_gradient<T>(c, d_code, weight, code, centre, target, scale);
      });
}

template <class T>
void student_centre_gradient(Context& ctx, ParamView<T> d_centre, GroupView<const T> weight,
                             GroupView<const T> code, ParamView<const T> centre) {
  const char* op = "student_centre_gradient";
  check_clusters<T>(op, "weight", weight, code, centre);
  check_param(op, "d_centre", d_centre, centre.groups, centre.count(), "what the centres have");
  dispatch<T>(
      ctx, op, cost_of<T>(weight, code),
      [&](auto& c) { cpu::student_centre_gradient<T>(c, d_centre, weight, code, centre); },
      [&](auto& c) { cuda::student_centre_gradient<T>(c, d_centre, weight, code, centre); });
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void student_assign<T>(Context&, GroupView<T>, std::int32_t*, Index,                    \
                                  GroupView<const T>, ParamView<const T>);                         \
  template void student_target<T>(Context&, GroupView<T>, GroupView<const T>, ParamView<const T>); \
  template void student_code_gradient<T>(Context&, GroupView<T>, GroupView<T>, GroupView<const T>, \
                                         ParamView<const T>, GroupView<const T>, double);          \
  template void student_centre_gradient<T>(Context&, ParamView<T>, GroupView<const T>,             \
                                           GroupView<const T>, ParamView<const T>);

GANMM_FOR_EACH_WIDE_TYPE(GANMM_INSTANTIATE)

}  // namespace ganmm::kernels
