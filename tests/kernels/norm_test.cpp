#include "kernels/norm.h"
#include "tests/reference/norm.h"
#include "tests/support/devices.h"
#include "tests/support/gradcheck.h"
#include "tests/support/guard_buffer.h"
#include "tests/support/random_data.h"

namespace ganmm::kernels {
namespace {

using namespace ganmm::test;
using reference::NormForward;
using reference::NormShape;

struct Case {
  NormSettings settings;
  Index groups, batch;
  Shape item;

  NormShape shape() const { return {groups, batch, item.count() / item.back(), item.back()}; }
  Index statistics() const { return norm_statistics(settings, batch, item.back()); }
  // Elements of one set.
  Index set_size() const {
    return settings.kind == NormKind::layer ? item.count()
                                            : settings.stat_batch * item.count() / item.back();
  }
};

std::string name(const Case& c) {
  return message(c.settings.kind == NormKind::layer ? "layer" : "batch", " norm, groups ", c.groups,
                 ", batch ", c.batch, " of ", to_string(c.item), ", statistics over ",
                 c.settings.stat_batch);
}

std::vector<Case> cases() {
  const auto batch = [](Index stat_batch) {
    return NormSettings{NormKind::batch, 1e-5, stat_batch};
  };
  const NormSettings layer{NormKind::layer, 1e-5, 0};
  std::vector<Case> all = {
      {batch(6), 1, 6, {5}},     {batch(3), 2, 6, {4}},        {batch(5), 7, 10, {2, 3, 3}},
      {batch(50), 2, 100, {64}}, {batch(4), 2, 4, {7, 7, 16}}, {layer, 1, 3, {8}},
      {layer, 2, 5, {64}},       {layer, 7, 2, {3, 2, 5}},     {layer, 2, 2, {7, 7, 16}}};
  for (const Index width : {1, 2, 7, 15, 16, 17, 33, 63, 130}) {
    all.push_back({batch(4), 2, 8, {width}});
    all.push_back({batch(2), 2, 4, {2, 1, width}});
    if (width > 2) all.push_back({layer, 2, 3, {width}});
  }
  return all;
}

struct Data {
  Values x, gamma, beta;
  NormForward forward;
};

// Mean and deviation of order one; gamma away from 0, of both signs.
template <class T>
Data make_data(const Case& c) {
  RandomData random(static_cast<std::uint64_t>(c.batch * 100 + c.item.count()));
  Data data;
  data.x = random.reals<T>(c.shape().count(), -1, 3);
  data.gamma = random.signed_reals<T>(c.groups * c.item.back(), 0.5, 1.5);
  data.beta = random.signed_reals<T>(c.groups * c.item.back(), 0.1, 1);
  data.forward = reference::norm_forward(c.settings, c.shape(), data.x, data.gamma, data.beta);
  return data;
}

// x, gamma, beta and the outputs of the forward pass on the device.
template <class T>
struct Pass {
  Pass(Context& ctx, const Case& c, const Data& data, Layout layout = Layout::packed)
      : x(ctx, c.groups, c.batch, c.item, data.x, layout),
        gamma(ctx, c.groups, {c.item.back()}, data.gamma, layout),
        beta(ctx, c.groups, {c.item.back()}, data.beta, layout),
        mean(ctx, c.groups, {c.statistics()}, layout),
        inv_sigma(ctx, c.groups, {c.statistics()}, layout),
        z(ctx, c.groups, c.batch, c.item, layout) {
    norm_forward<T>(ctx, z.view(), mean.view(), inv_sigma.view(), x.input(), gamma.input(),
                    beta.input(), c.settings);
  }
  Batch<T> x;
  Param<Master<T>> gamma, beta;
  Param<Master<T>> mean, inv_sigma;
  Batch<T> z;
};

// Mean and variance are sums over m elements and enter every result a few times over (through
// mean, sigma and xhat): eight reductions' worth covers them.
template <class T>
double rtol(const Case& c) {
  return 8 * reduction_rtol<T>(c.set_size());
}

}  // namespace

TEST_CASE("norm: the number of statistics is one per channel and statistics batch, or per item") {
  CHECK(norm_statistics({NormKind::batch, 1e-5, 50}, 150, 64) == 3 * 64);
  CHECK(norm_statistics({NormKind::batch, 1e-5, 4}, 4, 3) == 3);
  CHECK(norm_statistics({NormKind::layer, 1e-5, 0}, 150, 64) == 150);
}

GANMM_DEVICE_CASE("norm: forward is exact where mean and deviation are") {
  // Values +-1 and +-3 with epsilon making the deviations 2 and 4: every step is exact.
  const NormSettings batch{NormKind::batch, 3, 2};
  const Batch<T> x(ctx, 2, 4, {1}, {1, -1, -1, 1, 5, 3, 7, 9});
  const Param<T> gamma(ctx, 2, {1}, {4, 8});
  const Param<T> beta(ctx, 2, {1}, {1, -2});
  Param<T> mean(ctx, 2, {2});
  Param<T> inv_sigma(ctx, 2, {2});
  Batch<T> z(ctx, 2, 4, {1});
  norm_forward<T>(ctx, z.view(), mean.view(), inv_sigma.view(), x.input(), gamma.input(),
                  beta.input(), batch);
  check_equal(mean.get(), {0, 0, 4, 8});
  check_equal(inv_sigma.get(), {0.5, 0.5, 0.5, 0.5});
  check_equal(z.get(), {3, -1, -1, 3, 2, -6, -6, 2});

  const Batch<T> rows(ctx, 1, 2, {2}, {3, -3, 10, 4});
  const Param<T> one(ctx, 1, {2}, {4, 8});
  const Param<T> zero(ctx, 1, {2}, {0, 0});
  Batch<T> out(ctx, 1, 2, {2});
  Param<T> row_mean(ctx, 1, {2});
  Param<T> row_inv(ctx, 1, {2});
  norm_forward<T>(ctx, out.view(), row_mean.view(), row_inv.view(), rows.input(), one.input(),
                  zero.input(), {NormKind::layer, 7, 0});
  check_equal(row_mean.get(), {0, 7});
  check_equal(row_inv.get(), {0.25, 0.25});
  check_equal(out.get(), {3, -6, 3, -6});
}

GANMM_DEVICE_CASE("norm: forward follows the definition, with its statistics, also in place") {
  for (const Case& c : cases()) {
    for (const Layout layout : kOutputLayouts) {
      CAPTURE(name(c));
      const Data data = make_data<T>(c);
      Pass<T> pass(ctx, c, data, layout);
      const Values allowed = scaled(data.forward.scale, rtol<T>(c));
      check_within(pass.z.get(), data.forward.z, allowed);
      const Values mean_allowed(data.forward.mean.size(), 3 * rtol<T>(c));  // |x| is below 3
      check_within(pass.mean.get(), data.forward.mean, mean_allowed);
      Values inv_allowed = scaled(data.forward.inv_sigma, rtol<T>(c));
      // A small deviation magnifies the rounding of x - mean.
      for (std::size_t s = 0; s < inv_allowed.size(); ++s) {
        inv_allowed[s] *= 1 + 3 * data.forward.inv_sigma[s];
      }
      check_within(pass.inv_sigma.get(), data.forward.inv_sigma, inv_allowed);

      Batch<T> in_place(ctx, c.groups, c.batch, c.item, layout);
      in_place.set(data.x);
      norm_forward<T>(ctx, in_place.view(), pass.mean.view(), pass.inv_sigma.view(),
                      in_place.input(), pass.gamma.input(), pass.beta.input(), c.settings);
      check_within(in_place.get(), data.forward.z, allowed);
    }
  }
}

GANMM_DEVICE_CASE("norm: a large mean does not spoil the variance") {
  // Deviation 1 around 1000: E[x^2] - E[x]^2 would lose 20 of 24 bits.
  for (const NormSettings& settings :
       {NormSettings{NormKind::batch, 1e-5, 32}, NormSettings{NormKind::layer, 1e-5, 0}}) {
    const Case c{settings, 2, 32, {32}};
    RandomData random(8);
    Data data;
    data.x = random.reals<T>(c.shape().count(), 999, 1001);
    data.gamma = Values(64, 1.0);
    data.beta = Values(64, 0.0);
    data.forward = reference::norm_forward(settings, c.shape(), data.x, data.gamma, data.beta);
    Pass<T> pass(ctx, c, data);
    // The mean itself is rounded at 1000 * 2^-24, which moves x - mean by that much; a variance
    // from centred values adds only its own rounding.
    check_within(pass.z.get(), data.forward.z,
                 scaled(data.forward.scale, 2 * reduction_rtol<T>(32)));
    check_within(pass.inv_sigma.get(), data.forward.inv_sigma,
                 scaled(data.forward.inv_sigma, 1e4 * unit_roundoff<T>()));
  }
}

GANMM_DEVICE_CASE("norm: a constant set has the deviation of epsilon and no NaN") {
  const Batch<T> x(ctx, 1, 4, {2}, {3, 5, 3, 5, 3, 5, 3, 5});
  const Param<T> gamma(ctx, 1, {2}, {2, 2});
  const Param<T> beta(ctx, 1, {2}, {7, 8});
  Param<T> mean(ctx, 1, {2});
  Param<T> inv_sigma(ctx, 1, {2});
  Batch<T> z(ctx, 1, 4, {2});
  norm_forward<T>(ctx, z.view(), mean.view(), inv_sigma.view(), x.input(), gamma.input(),
                  beta.input(), {NormKind::batch, 0.25, 4});
  check_equal(mean.get(), {3, 5});
  check_equal(inv_sigma.get(), {2, 2});
  check_equal(z.get(), {7, 8, 7, 8, 7, 8, 7, 8});
}

GANMM_DEVICE_CASE("norm: backward follows the formula, also in place") {
  for (const Case& c : cases()) {
    if (c.set_size() < 3) continue;  // P maps sets of two to zero
    for (const Layout layout : kOutputLayouts) {
      CAPTURE(name(c));
      const Data data = make_data<T>(c);
      const Pass<T> pass(ctx, c, data, layout);
      RandomData random(9);
      const Values d_z_values = random.signed_reals<T>(c.shape().count(), 0.5, 2);
      const auto expected = reference::norm_backward_data(c.settings, c.shape(), data.forward,
                                                          data.gamma, d_z_values);
      Values allowed = scaled(expected.scale, rtol<T>(c));
      for (std::size_t i = 0; i < allowed.size(); ++i) {
        // xhat inherits the rounding of x - mean, magnified by 1/sigma.
        allowed[i] *= 1 + 3 * data.forward.inv_sigma_of[i];
      }
      const Batch<T> d_z(ctx, c.groups, c.batch, c.item, d_z_values, layout);
      Batch<T> d_x(ctx, c.groups, c.batch, c.item, layout);
      norm_backward_data<T>(ctx, d_x.view(), d_z.input(), pass.x.input(), pass.mean.input(),
                            pass.inv_sigma.input(), pass.gamma.input(), c.settings);
      check_within(d_x.get(), expected.value, allowed);
      Batch<T> in_place(ctx, c.groups, c.batch, c.item, layout);
      in_place.set(d_z_values);
      norm_backward_data<T>(ctx, in_place.view(), in_place.input(), pass.x.input(),
                            pass.mean.input(), pass.inv_sigma.input(), pass.gamma.input(),
                            c.settings);
      check_within(in_place.get(), expected.value, allowed);
    }
  }
}

GANMM_DEVICE_CASE("norm: parameter gradients overwrite or accumulate") {
  for (const Case& c : cases()) {
    CAPTURE(name(c));
    const Data data = make_data<T>(c);
    const Pass<T> pass(ctx, c, data, Layout::gaps);
    RandomData random(10);
    const Values d_z_values = random.reals<T>(c.shape().count(), 0.5, 2);
    auto expected = reference::norm_backward_params(c.shape(), data.forward, d_z_values);
    const Index terms = c.shape().count() / (c.groups * c.item.back());
    const double sum_rtol = 2 * reduction_rtol<T>(terms);
    double largest_inv_sigma = 0;
    for (const double inv : data.forward.inv_sigma) {
      largest_inv_sigma = std::max(largest_inv_sigma, inv);
    }
    // Beside the sum, xhat is off by the rounding of x - mean (|x| < 3), magnified by 1/sigma.
    Values gamma_allowed = scaled(expected.gamma.scale, sum_rtol + rtol<T>(c));
    for (std::size_t i = 0; i < gamma_allowed.size(); ++i) {
      gamma_allowed[i] += expected.beta.scale[i] * 3 * largest_inv_sigma * rtol<T>(c);
    }
    const Values beta_allowed = scaled(expected.beta.scale, sum_rtol);
    const Batch<T> d_z(ctx, c.groups, c.batch, c.item, d_z_values);
    Param<T> d_gamma(ctx, c.groups, {c.item.back()}, Layout::gaps);
    Param<T> d_beta(ctx, c.groups, {c.item.back()}, Layout::gaps);
    const auto call = [&](Write write) {
      norm_backward_params<T>(ctx, d_gamma.view(), d_beta.view(), d_z.input(), pass.x.input(),
                              pass.mean.input(), pass.inv_sigma.input(), c.settings, write);
    };
    call(Write::overwrite);
    check_within(d_gamma.get(), expected.gamma.value, gamma_allowed);
    check_within(d_beta.get(), expected.beta.value, beta_allowed);
    const Values start = random.integers(c.groups * c.item.back(), 1, 3);
    d_gamma.set(start);
    d_beta.set(start);
    call(Write::accumulate);
    // Adding to at most 3 rounds once more.
    for (std::size_t i = 0; i < start.size(); ++i) {
      gamma_allowed[i] += 2 * unit_roundoff<T>() * (3 + expected.gamma.scale[i]);
    }
    check_within(d_gamma.get(), start + expected.gamma.value, gamma_allowed);
    check_within(d_beta.get(), start + expected.beta.value,
                 scaled(expected.beta.scale + start, sum_rtol + 2 * unit_roundoff<T>()));
  }
}

GANMM_DEVICE_CASE("norm: the tangent follows the formula, also in place") {
  for (const Case& c : cases()) {
    if (c.set_size() < 3) continue;
    CAPTURE(name(c));
    const Data data = make_data<T>(c);
    const Pass<T> pass(ctx, c, data);
    RandomData random(11);
    const Values t_x_values = random.signed_reals<T>(c.shape().count(), 0.5, 2);
    const auto expected =
        reference::norm_tangent(c.settings, c.shape(), data.forward, data.gamma, t_x_values);
    Values allowed = scaled(expected.scale, rtol<T>(c));
    for (std::size_t i = 0; i < allowed.size(); ++i) {
      allowed[i] *= 1 + 3 * data.forward.inv_sigma_of[i];
    }
    const Batch<T> t_x(ctx, c.groups, c.batch, c.item, t_x_values);
    Batch<T> t_z(ctx, c.groups, c.batch, c.item, Layout::gaps);
    norm_tangent<T>(ctx, t_z.view(), t_x.input(), pass.x.input(), pass.mean.input(),
                    pass.inv_sigma.input(), pass.gamma.input(), c.settings);
    check_within(t_z.get(), expected.value, allowed);
    Batch<T> in_place(ctx, c.groups, c.batch, c.item);
    in_place.set(t_x_values);
    norm_tangent<T>(ctx, in_place.view(), in_place.input(), pass.x.input(), pass.mean.input(),
                    pass.inv_sigma.input(), pass.gamma.input(), c.settings);
    check_within(in_place.get(), expected.value, allowed);
  }
}

TEST_CASE("norm: backward, tangent and parameter gradients agree with central differences") {
  Context ctx;
  for (const Case& c : {Case{{NormKind::batch, 1e-5, 4}, 2, 8, {2, 1, 3}},
                        Case{{NormKind::layer, 1e-5, 0}, 2, 2, {2, 2, 3}}}) {
    CAPTURE(name(c));
    const Data data = make_data<double>(c);
    const Pass<double> pass(ctx, c, data);
    RandomData random(12);
    const Values weight = random.reals<double>(c.shape().count(), -1, 1);
    const Values direction = random.reals<double>(c.shape().count(), -1, 1);
    const auto z_of = [&](const Values& x, const Values& gamma, const Values& beta) {
      return reference::norm_forward(c.settings, c.shape(), x, gamma, beta).z;
    };
    const Batch<double> d_z(ctx, c.groups, c.batch, c.item, weight);
    const Batch<double> t_x(ctx, c.groups, c.batch, c.item, direction);
    Batch<double> d_x(ctx, c.groups, c.batch, c.item);
    Batch<double> t_z(ctx, c.groups, c.batch, c.item);
    Param<double> d_gamma(ctx, c.groups, {c.item.back()});
    Param<double> d_beta(ctx, c.groups, {c.item.back()});
    norm_backward_data<double>(ctx, d_x.view(), d_z.input(), pass.x.input(), pass.mean.input(),
                               pass.inv_sigma.input(), pass.gamma.input(), c.settings);
    norm_backward_params<double>(ctx, d_gamma.view(), d_beta.view(), d_z.input(), pass.x.input(),
                                 pass.mean.input(), pass.inv_sigma.input(), c.settings,
                                 Write::overwrite);
    norm_tangent<double>(ctx, t_z.view(), t_x.input(), pass.x.input(), pass.mean.input(),
                         pass.inv_sigma.input(), pass.gamma.input(), c.settings);
    check_gradient(
        d_x.get(),
        central_gradient(
            [&](const Values& x) { return dot(z_of(x, data.gamma, data.beta), weight); }, data.x));
    check_gradient(d_gamma.get(), central_gradient(
                                      [&](const Values& gamma) {
                                        return dot(z_of(data.x, gamma, data.beta), weight);
                                      },
                                      data.gamma));
    check_gradient(d_beta.get(), central_gradient(
                                     [&](const Values& beta) {
                                       return dot(z_of(data.x, data.gamma, beta), weight);
                                     },
                                     data.beta));
    check_gradient(t_z.get(), central_direction(
                                  [&](const Values& x) { return z_of(x, data.gamma, data.beta); },
                                  data.x, direction));
  }
}

TEST_CASE("norm: tangent and backward are adjoint") {
  Context ctx;
  for (const Case& c : cases()) {
    if (c.set_size() < 3) continue;
    CAPTURE(name(c));
    const Data data = make_data<double>(c);
    const Pass<double> pass(ctx, c, data);
    RandomData random(13);
    const Values signal = random.reals<double>(c.shape().count(), -1, 1);
    const Values direction = random.reals<double>(c.shape().count(), -1, 1);
    const Batch<double> d_z(ctx, c.groups, c.batch, c.item, signal);
    const Batch<double> t_x(ctx, c.groups, c.batch, c.item, direction);
    Batch<double> d_x(ctx, c.groups, c.batch, c.item);
    Batch<double> t_z(ctx, c.groups, c.batch, c.item);
    norm_backward_data<double>(ctx, d_x.view(), d_z.input(), pass.x.input(), pass.mean.input(),
                               pass.inv_sigma.input(), pass.gamma.input(), c.settings);
    norm_tangent<double>(ctx, t_z.view(), t_x.input(), pass.x.input(), pass.mean.input(),
                         pass.inv_sigma.input(), pass.gamma.input(), c.settings);
    const double forward = dot(t_z.get(), signal);
    const double backward = dot(direction, d_x.get());
    // Both sides are rounded separately: some hundred terms and P inside each of them.
    CHECK(forward != 0);
    CHECK(std::abs(forward - backward) <=
          1e-12 * (absolute_dot(t_z.get(), signal) + absolute_dot(direction, d_x.get())));
  }
}

TEST_CASE("norm: the second-order term agrees with central differences of the penalty potential") {
  Context ctx;
  for (const Shape& item : {Shape{7}, Shape{2, 3, 4}}) {
    const Case c{{NormKind::layer, 1e-5, 0}, 2, 2, item};
    CAPTURE(name(c));
    const Data data = make_data<double>(c);
    const Pass<double> pass(ctx, c, data);
    RandomData random(14);
    const Values u_values = random.reals<double>(c.shape().count(), -1, 1);
    const Values t_values = random.reals<double>(c.shape().count(), -1, 1);
    const Batch<double> u(ctx, c.groups, c.batch, c.item, u_values);
    const Batch<double> t_x(ctx, c.groups, c.batch, c.item, t_values);
    Batch<double> r_x(ctx, c.groups, c.batch, c.item);
    Param<double> d_gamma(ctx, c.groups, {c.item.back()});
    Param<double> d_beta(ctx, c.groups, {c.item.back()});
    d_gamma.set(reference::zeros(c.groups * c.item.back()));
    d_beta.set(reference::zeros(c.groups * c.item.back()));
    norm_penalty<double>(ctx, r_x.view(), d_gamma.view(), d_beta.view(), {}, u.input(), t_x.input(),
                         pass.x.input(), pass.mean.input(), pass.inv_sigma.input(),
                         pass.gamma.input(), c.settings);
    const auto potential = [&](const Values& x, const Values& gamma) {
      return reference::norm_penalty_potential(c.settings, c.shape(), x, gamma, u_values, t_values);
    };
    check_gradient(
        r_x.get(),
        central_gradient([&](const Values& x) { return potential(x, data.gamma); }, data.x));
    check_gradient(d_gamma.get(),
                   central_gradient([&](const Values& gamma) { return potential(data.x, gamma); },
                                    data.gamma));
    check_zero(d_beta.get());
  }
}

GANMM_DEVICE_CASE("norm: the second-order term follows the formula and accumulates") {
  Index scratch = 0;
  for (const Case& c : cases()) {
    scratch = std::max(scratch, norm_workspace(ctx, c.groups, c.batch, c.settings));
  }
  reserve_scratch(ctx, scratch);
  for (const Case& c : cases()) {
    if (c.settings.kind != NormKind::layer || c.set_size() < 3) continue;
    for (const bool with_seed : {false, true}) {
      CAPTURE(name(c));
      CAPTURE(with_seed);
      const Data data = make_data<T>(c);
      const Pass<T> pass(ctx, c, data);
      RandomData random(15);
      const Index count = c.shape().count(), params = c.groups * c.item.back();
      const Values u_values = random.reals<T>(count, -1, 1);
      const Values t_values = random.reals<T>(count, -1, 1);
      const Values seed = random.reals<T>(count, -1, 1);
      const Values start = random.integers(params, 1, 3);
      const auto expected =
          reference::norm_penalty(c.settings, c.shape(), data.forward, data.gamma,
                                  with_seed ? seed : reference::zeros(count), u_values, t_values);
      double largest_inv_sigma = 0;
      for (const double inv : data.forward.inv_sigma) {
        largest_inv_sigma = std::max(largest_inv_sigma, inv);
      }
      // Products of up to three sums, with xhat (magnified by 1/sigma) in each.
      const double allowed_rtol = 3 * rtol<T>(c) * (1 + 3 * largest_inv_sigma);
      const Batch<T> u(ctx, c.groups, c.batch, c.item, u_values);
      const Batch<T> t_x(ctx, c.groups, c.batch, c.item, t_values);
      const Batch<T> r_z(ctx, c.groups, c.batch, c.item, seed);
      Batch<T> r_x(ctx, c.groups, c.batch, c.item, Layout::gaps);
      Param<T> d_gamma(ctx, c.groups, {c.item.back()});
      Param<T> d_beta(ctx, c.groups, {c.item.back()});
      d_gamma.set(start);
      d_beta.set(start);
      norm_penalty<T>(ctx, r_x.view(), d_gamma.view(), d_beta.view(),
                      with_seed ? r_z.input() : GroupView<const T>{}, u.input(), t_x.input(),
                      pass.x.input(), pass.mean.input(), pass.inv_sigma.input(), pass.gamma.input(),
                      c.settings);
      check_within(r_x.get(), expected.r_x.value, scaled(expected.r_x.scale, allowed_rtol));
      check_within(d_gamma.get(), start + expected.d_gamma.value,
                   scaled(start + expected.d_gamma.scale, allowed_rtol));
      check_within(d_beta.get(), start + expected.d_beta.value,
                   scaled(start + expected.d_beta.scale, allowed_rtol));
    }
  }
}

TEST_CASE("norm: the second-order term of batch norm does not exist") {
  Context ctx;
  const Case c{{NormKind::batch, 1e-5, 2}, 1, 2, {3}};
  const Data data = make_data<float>(c);
  const Pass<float> pass(ctx, c, data);
  Batch<float> r_x(ctx, 1, 2, {3});
  Param<float> d_gamma(ctx, 1, {3});
  Param<float> d_beta(ctx, 1, {3});
  CHECK_THROWS_AS(norm_penalty<float>(ctx, r_x.view(), d_gamma.view(), d_beta.view(), {},
                                      pass.x.input(), pass.x.input(), pass.x.input(),
                                      pass.mean.input(), pass.inv_sigma.input(), pass.gamma.input(),
                                      c.settings),
                  UnsupportedError);
}

GANMM_DEVICE_CASE("norm: an empty batch has no statistics and zero parameter gradients") {
  for (const NormSettings& settings :
       {NormSettings{NormKind::batch, 1e-5, 2}, NormSettings{NormKind::layer, 1e-5, 0}}) {
    const Batch<T> x(ctx, 2, 0, {3}, Values{});
    const Param<T> gamma(ctx, 2, {3}, Values(6, 1.0));
    Batch<T> z(ctx, 2, 0, {3});
    Param<T> mean(ctx, 2, {0}), inv_sigma(ctx, 2, {0}), d_gamma(ctx, 2, {3}), d_beta(ctx, 2, {3});
    CHECK_NOTHROW(norm_forward<T>(ctx, z.view(), mean.view(), inv_sigma.view(), x.input(),
                                  gamma.input(), gamma.input(), settings));
    CHECK_NOTHROW(norm_backward_data<T>(ctx, z.view(), x.input(), x.input(), mean.input(),
                                        inv_sigma.input(), gamma.input(), settings));
    norm_backward_params<T>(ctx, d_gamma.view(), d_beta.view(), x.input(), x.input(), mean.input(),
                            inv_sigma.input(), settings, Write::overwrite);
    check_zero(d_gamma.get());
    check_zero(d_beta.get());
  }
}

TEST_CASE("norm: a statistics batch that does not divide the batch is refused") {
  Context ctx;
  const Batch<float> x(ctx, 1, 6, {2}, Values(12, 1.0));
  const Param<float> gamma(ctx, 1, {2}, Values(2, 1.0));
  Batch<float> z(ctx, 1, 6, {2});
  Param<float> mean(ctx, 1, {2});
  Param<float> inv_sigma(ctx, 1, {2});
  CHECK_THROWS_AS(norm_forward<float>(ctx, z.view(), mean.view(), inv_sigma.view(), x.input(),
                                      gamma.input(), gamma.input(), {NormKind::batch, 1e-5, 4}),
                  ShapeError);
}

namespace {

// Activations stored as bfloat16, all else in single precision: results that are activations are
// within one rounding of their scale, sums within those of single precision.
void bfloat16_activations(Context& ctx) {
  using T = BFloat16;
  const NormSettings batch{NormKind::batch, 1e-2, 3}, layer{NormKind::layer, 1e-2, 0};
  const std::vector<Case> all = {{batch, 1, 3, {5}},        {batch, 2, 6, {8}},
                                 {batch, 7, 6, {3, 2, 72}}, {batch, 1, 6, {5, 5, 16}},
                                 {layer, 2, 3, {7}},        {layer, 1, 2, {3, 3, 8}},
                                 {layer, 7, 3, {2, 2, 24}}, {layer, 1, 2, {7, 7, 64}}};
  Index scratch = 0;
  for (const Case& c : all) {
    scratch = std::max(scratch, norm_workspace(ctx, c.groups, c.batch, c.settings));
  }
  reserve_scratch(ctx, scratch);
  for (const Case& c : all) {
    for (const Layout layout : kOutputLayouts) {
      CAPTURE(name(c));
      const Data data = make_data<T>(c);
      const Index count = c.shape().count(), params = c.groups * c.item.back();
      Pass<T> pass(ctx, c, data, layout);
      check_within(pass.z.get(), data.forward.z, scaled(data.forward.scale, 0x1p-8));
      // mean and inv_sigma keep single precision.
      check_within(pass.mean.get(), data.forward.mean,
                   Values(data.forward.mean.size(), 3 * rtol<float>(c)));

      RandomData random(16);
      const Values signal = random.signed_reals<T>(count, 0.5, 2);
      const Values direction = random.signed_reals<T>(count, 0.5, 2);
      const Values seed = random.signed_reals<T>(count, 0.5, 2);
      const Batch<T> d_z(ctx, c.groups, c.batch, c.item, signal, layout);
      const Batch<T> t_x(ctx, c.groups, c.batch, c.item, direction, layout);
      Batch<T> d_x(ctx, c.groups, c.batch, c.item, layout);
      Batch<T> t_z(ctx, c.groups, c.batch, c.item, layout);
      Param<float> d_gamma(ctx, c.groups, {c.item.back()});
      Param<float> d_beta(ctx, c.groups, {c.item.back()});
      norm_backward_data<T>(ctx, d_x.view(), d_z.input(), pass.x.input(), pass.mean.input(),
                            pass.inv_sigma.input(), pass.gamma.input(), c.settings);
      norm_tangent<T>(ctx, t_z.view(), t_x.input(), pass.x.input(), pass.mean.input(),
                      pass.inv_sigma.input(), pass.gamma.input(), c.settings);
      norm_backward_params<T>(ctx, d_gamma.view(), d_beta.view(), d_z.input(), pass.x.input(),
                              pass.mean.input(), pass.inv_sigma.input(), c.settings,
                              Write::overwrite);
      const auto back =
          reference::norm_backward_data(c.settings, c.shape(), data.forward, data.gamma, signal);
      check_within(d_x.get(), back.value, scaled(back.scale, 0x1p-8));
      const auto along =
          reference::norm_tangent(c.settings, c.shape(), data.forward, data.gamma, direction);
      check_within(t_z.get(), along.value, scaled(along.scale, 0x1p-8));
      auto sums = reference::norm_backward_params(c.shape(), data.forward, signal);
      // |x - mean| is below 4 and rounded at that size, 1/sigma is at most 10.
      Values allowed = scaled(sums.gamma.scale, 4 * rtol<float>(c));
      for (std::size_t i = 0; i < allowed.size(); ++i) {
        allowed[i] += sums.beta.scale[i] * 40 * rtol<float>(c);
      }
      check_within(d_gamma.get(), sums.gamma.value, allowed);
      check_within(d_beta.get(), sums.beta.value,
                   scaled(sums.beta.scale, reduction_rtol<float>(count)));

      if (c.settings.kind != NormKind::layer) continue;
      const Batch<T> r_z(ctx, c.groups, c.batch, c.item, seed, layout);
      Batch<T> r_x(ctx, c.groups, c.batch, c.item, layout);
      d_gamma.set(reference::zeros(params));
      d_beta.set(reference::zeros(params));
      norm_penalty<T>(ctx, r_x.view(), d_gamma.view(), d_beta.view(), r_z.input(), d_z.input(),
                      t_x.input(), pass.x.input(), pass.mean.input(), pass.inv_sigma.input(),
                      pass.gamma.input(), c.settings);
      const auto second = reference::norm_penalty(c.settings, c.shape(), data.forward, data.gamma,
                                                  seed, signal, direction);
      check_within(r_x.get(), second.r_x.value, scaled(second.r_x.scale, 0x1p-8));
      const double sum_rtol = 100 * rtol<float>(c);
      check_within(d_gamma.get(), second.d_gamma.value, scaled(second.d_gamma.scale, sum_rtol));
      check_within(d_beta.get(), second.d_beta.value, scaled(second.d_beta.scale, sum_rtol));
    }
  }
}

}  // namespace

TEST_CASE("norm: bfloat16 activations are rounded once, cuda" * doctest::test_suite("gpu")) {
  on_cuda(bfloat16_activations);
}

}  // namespace ganmm::kernels
