#include "kernels/student.h"
#include "tests/reference/student.h"
#include "tests/support/devices.h"
#include "tests/support/gradcheck.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"

namespace ganmm::kernels {
namespace {

using namespace ganmm::test;
using reference::at;

struct Sizes {
  Index groups, rows, clusters, features;
};
// More rows than a GPU's block takes, and every size by itself as small as it gets.
const std::vector<Sizes> kSizes = {{1, 1, 1, 1}, {2, 5, 3, 2}, {3, 300, 10, 10}, {1, 140, 37, 17}};

Values group_of(const Values& values, Index group, Index groups) {
  const auto each = static_cast<Index>(values.size()) / groups;
  return {values.begin() + group * each, values.begin() + (group + 1) * each};
}

void append(Values& values, const Values& more) {
  values.insert(values.end(), more.begin(), more.end());
}

// Of a share q: a distance of D squared differences, a reciprocal, a sum over k, a quotient.
template <class T>
double share_rtol(const Sizes& s) {
  return 2 *
         (reduction_rtol<T>(s.features) + reduction_rtol<T>(s.clusters) + 6 * unit_roundoff<T>());
}

// Codes around centres, far and near, with targets of their own.
template <class T>
struct Problem {
  explicit Problem(const Sizes& s) : random(static_cast<std::uint64_t>(s.rows + s.clusters)) {
    code = random.reals<T>(s.groups * s.rows * s.features, -3, 3);
    centre = random.reals<T>(s.groups * s.clusters * s.features, -3, 3);
    for (Index n = 0; n < s.groups; ++n) {
      const Values own = reference::student_assign(
          group_of(code, n, s.groups), group_of(centre, n, s.groups), s.clusters, s.features);
      append(q, own);
      Values f = reference::student_frequency(own, s.clusters);
      for (double& value : f) value = static_cast<double>(static_cast<T>(value));
      append(frequency, f);
      append(target, reference::student_target(own, f));
    }
    for (double& value : q) value = static_cast<double>(static_cast<T>(value));
    for (double& value : target) value = static_cast<double>(static_cast<T>(value));
  }

  RandomData random;
  Values code, centre, q, frequency, target;
};

}  // namespace

GANMM_DEVICE_CASE("student: assignments follow the definition, labels are their largest") {
  for (const Sizes& s : kSizes) {
    for (const Layout layout : kOutputLayouts) {
      CAPTURE(s.rows);
      const Problem<T> problem(s);
      const Index stride = s.rows + 2;
      const Batch<T> code(ctx, s.groups, s.rows, {s.features}, problem.code, layout);
      const Param<T> centre(ctx, s.groups, {s.clusters, s.features}, problem.centre);
      Batch<T> q(ctx, s.groups, s.rows, {s.clusters}, layout);
      GuardBuffer<std::int32_t> label(ctx, s.groups * stride);
      auto expected_label = label.get();
      student_assign<T>(ctx, q.view(), label.data(), stride, code.input(), centre.input());
      const Values result = q.get();
      for (Index i = 0; i < s.groups * s.rows; ++i) {
        const auto row = result.begin() + i * s.clusters;
        expected_label[at(i / s.rows * stride + i % s.rows)] =
            static_cast<std::int32_t>(std::max_element(row, row + s.clusters) - row);
      }
      CHECK(label.get() == expected_label);
      check_within(result, problem.q, scaled(problem.q, share_rtol<T>(s)));
    }
  }
}

GANMM_DEVICE_CASE("student: equal distances give equal shares and the lowest label") {
  const Batch<T> code(ctx, 1, 2, {2}, {0, 0, 1, 1});
  const Param<T> centre(ctx, 1, {4, 2}, {0, 1, 1, 0, 0, -1, -1, 0});
  Batch<T> q(ctx, 1, 2, {4});
  GuardBuffer<std::int32_t> label(ctx, 2);
  student_assign<T>(ctx, q.view(), label.data(), 2, code.input(), centre.input());
  CHECK(label.get() == std::vector<std::int32_t>{0, 0});
  CHECK(group_of(q.get(), 0, 2) == Values(4, 0.25));
}

GANMM_DEVICE_CASE("student: targets follow the definition, also in place and without a cluster") {
  for (const Sizes& s : kSizes) {
    for (const bool empty : {false, true}) {
      CAPTURE(s.rows);
      CAPTURE(empty);
      if (empty && s.clusters == 1) continue;
      Problem<T> problem(s);
      Values expected;
      for (Index n = 0; n < s.groups; ++n) {
        if (empty) problem.frequency[at(n * s.clusters + 1)] = 0;
        append(expected, reference::student_target(group_of(problem.q, n, s.groups),
                                                   group_of(problem.frequency, n, s.groups)));
      }
      const Values allowed =
          scaled(expected, 2 * (reduction_rtol<T>(s.clusters) + 4 * unit_roundoff<T>()));
      const Param<T> frequency(ctx, s.groups, {s.clusters}, problem.frequency);
      const Batch<T> q(ctx, s.groups, s.rows, {s.clusters}, problem.q, Layout::gaps);
      Batch<T> p(ctx, s.groups, s.rows, {s.clusters}, Layout::gaps);
      student_target<T>(ctx, p.view(), q.input(), frequency.input());
      check_within(p.get(), expected, allowed);
      Batch<T> in_place(ctx, s.groups, s.rows, {s.clusters});
      in_place.set(problem.q);
      student_target<T>(ctx, in_place.view(), in_place.input(), frequency.input());
      CHECK(in_place.get() == p.get());
    }
  }
}

GANMM_DEVICE_CASE("student: gradients follow the definition") {
  for (const Sizes& s : kSizes) {
    if (s.clusters == 1) continue;  // all of them are 0
    CAPTURE(s.rows);
    const Problem<T> problem(s);
    const double scale = 0.25;
    Values code_value, code_allowed, centre_value, centre_allowed, weight_value, weight_allowed;
    for (Index n = 0; n < s.groups; ++n) {
      const auto part = [&](const Values& values) { return group_of(values, n, s.groups); };
      const auto expected = reference::student_gradient(
          part(problem.code), part(problem.centre), part(problem.target), s.clusters, s.features);
      const double rtol = 2 * share_rtol<T>(s);  // of w: a share and a kernel
      append(weight_value, scaled(expected.weight.value, scale));
      append(weight_allowed, scaled(expected.weight.scale, scale * rtol));
      append(code_value, scaled(expected.code.value, scale));
      append(code_allowed,
             scaled(expected.code.scale, scale * (rtol + reduction_rtol<T>(s.clusters))));
      append(centre_value, scaled(expected.centre.value, scale));
      append(centre_allowed,
             scaled(expected.centre.scale, scale * (rtol + 4 * unit_roundoff<T>())));
    }
    const Batch<T> code(ctx, s.groups, s.rows, {s.features}, problem.code, Layout::gaps);
    const Batch<T> target(ctx, s.groups, s.rows, {s.clusters}, problem.target, Layout::gaps);
    const Param<T> centre(ctx, s.groups, {s.clusters, s.features}, problem.centre);
    Batch<T> d_code(ctx, s.groups, s.rows, {s.features}, Layout::gaps);
    Batch<T> weight(ctx, s.groups, s.rows, {s.clusters}, Layout::gaps);
    Param<T> d_centre(ctx, s.groups, {s.clusters, s.features}, Layout::gaps);
    student_code_gradient<T>(ctx, d_code.view(), weight.view(), code.input(), centre.input(),
                             target.input(), scale);
    student_centre_gradient<T>(ctx, d_centre.view(), weight.input(), code.input(), centre.input());
    check_within(weight.get(), weight_value, weight_allowed);
    check_within(d_code.get(), code_value, code_allowed);
    check_within(d_centre.get(), centre_value, centre_allowed);
  }
}

TEST_CASE("student: gradients agree with central differences of the divergence") {
  Context ctx;
  const Sizes s{1, 6, 3, 2};
  const Problem<double> problem(s);
  const auto divergence = [&](const Values& code, const Values& centre) {
    return reference::student_divergence(
        problem.target, reference::student_assign(code, centre, s.clusters, s.features));
  };
  const Batch<double> code(ctx, 1, s.rows, {s.features}, problem.code);
  const Batch<double> target(ctx, 1, s.rows, {s.clusters}, problem.target);
  const Param<double> centre(ctx, 1, {s.clusters, s.features}, problem.centre);
  Batch<double> d_code(ctx, 1, s.rows, {s.features}), weight(ctx, 1, s.rows, {s.clusters});
  Param<double> d_centre(ctx, 1, {s.clusters, s.features});
  student_code_gradient<double>(ctx, d_code.view(), weight.view(), code.input(), centre.input(),
                                target.input(), 1.0);
  student_centre_gradient<double>(ctx, d_centre.view(), weight.input(), code.input(),
                                  centre.input());
  check_gradient(d_code.get(),
                 central_gradient([&](const Values& x) { return divergence(x, problem.centre); },
                                  problem.code));
  check_gradient(d_centre.get(),
                 central_gradient([&](const Values& x) { return divergence(problem.code, x); },
                                  problem.centre));
}

GANMM_DEVICE_CASE("student: an empty batch changes nothing but the centres' gradient, which is 0") {
  const Batch<T> code(ctx, 2, 0, {3}, Values{});
  const Batch<T> target(ctx, 2, 0, {4}, Values{});
  const Param<T> centre(ctx, 2, {4, 3}, Values(24, 1.0));
  Batch<T> d_code(ctx, 2, 0, {3}), q(ctx, 2, 0, {4});
  Param<T> d_centre(ctx, 2, {4, 3});
  student_assign<T>(ctx, q.view(), nullptr, 0, code.input(), centre.input());
  student_code_gradient<T>(ctx, d_code.view(), q.view(), code.input(), centre.input(),
                           target.input(), 1.0);
  student_centre_gradient<T>(ctx, d_centre.view(), target.input(), code.input(), centre.input());
  check_zero(d_centre.get());
}

TEST_CASE("student: shares and centres that do not fit the codes are refused") {
  Context ctx;
  const Batch<float> code(ctx, 1, 2, {3}, Values(6, 1.0));
  const Param<float> centre(ctx, 1, {2, 3}, Values(6, 1.0)), wide(ctx, 1, {2, 4}, Values(8, 1.0));
  GuardBuffer<std::int32_t> label(ctx, 2);
  Batch<float> q(ctx, 1, 2, {2}), short_q(ctx, 1, 1, {2});
  CHECK_THROWS_AS(student_assign<float>(ctx, q.view(), label.data(), 2, code.input(), wide.input()),
                  ShapeError);
  CHECK_THROWS_AS(
      student_assign<float>(ctx, short_q.view(), label.data(), 2, code.input(), centre.input()),
      ShapeError);
  CHECK_THROWS_AS(student_assign<float>(ctx, q.view(), nullptr, 2, code.input(), centre.input()),
                  ShapeError);
  CHECK_THROWS_AS(student_target<float>(ctx, q.view(), q.input(), centre.input()), ShapeError);
}

}  // namespace ganmm::kernels
