#include "tests/nn/net.h"

#include <limits>

namespace ganmm::nn {
namespace {

using namespace ganmm::test;

constexpr Index kGroups = 2, kBatch = 6, kStatBatch = 3;
constexpr double kPoison = std::numeric_limits<double>::quiet_NaN();

// A chain of all layer kinds, with batch norm or, where rows may not depend on each other, without.
NetworkSpec chain(bool batch_norm) {
  return {"net",
          {8},
          {dense({12}, kLeaky), norm(LayerKind::layer_norm, kTanh, {2, 3, 2}),
           deconv({4, 6, 2}, kRelu),
           norm(batch_norm ? LayerKind::batch_norm : LayerKind::layer_norm, kLeaky),
           crop({3, 5, 2}, kSigmoid), conv(3, kLeaky), dense({2})}};
}

Values rows_of(const Shape& item, std::uint64_t stream) {
  return RandomData(stream).reals<float>(kGroups * kBatch * item.count(), -1, 1);
}

template <class T>
struct Chain : TestNet<T> {
  explicit Chain(const NetworkSpec& spec, StoreUse use = StoreUse::training)
      : TestNet<T>(spec, kGroups, kBatch, TapeUse::backward, kStatBatch, use),
        x(rows_of(spec.input, 1)), d_y(rows_of(this->net.output(), 2)) {
    RandomData random(3);
    this->draw_parameters(random);
  }
  // A pass of all rows whose gradients start as `gradients`.
  Values pass(double gradients, Write mode) {
    this->fill_gradients(gradients);
    this->forward(x);
    this->backward(d_y,
                   {.rows = kBatch, .input_rows = kBatch, .param_rows = kBatch, .write = mode});
    return this->gradients();
  }
  Values x, d_y;
};

// Packed rows [first, first + count) of every group.
Values part(const Values& values, Index features, Index first, Index count) {
  Values rows;
  for (Index n = 0; n < kGroups; ++n) {
    const Values one = slice(values, (n * kBatch + first) * features, count * features);
    rows.insert(rows.end(), one.begin(), one.end());
  }
  return rows;
}

std::vector<NetworkSpec> every_layer() {
  std::vector<NetworkSpec> specs{chain(true), chain(false)};
  for (const LayerCase& layer : kLayerCases) specs.push_back(layer.spec(kLeaky));
  return specs;
}

}  // namespace

GANMM_CPU_CASE("layers: overwriting gradients does not depend on what was there") {
  for (const NetworkSpec& spec : every_layer()) {
    CAPTURE(to_string(spec.input));
    Chain<T> t(spec);
    if (t.tensors() == 0) continue;
    const Values clean = t.pass(0, Write::overwrite);
    REQUIRE_FALSE(all_zero(clean));
    check_equal(t.pass(kPoison, Write::overwrite), clean);
  }
}

GANMM_CPU_CASE("layers: accumulating gradients adds to what was there") {
  for (const NetworkSpec& spec : every_layer()) {
    CAPTURE(to_string(spec.input));
    Chain<T> t(spec);
    if (t.tensors() == 0) continue;
    const Values once = t.pass(0, Write::overwrite);
    const Values sum = t.pass(3, Write::accumulate);
    double scale = 3;
    for (const double value : once) scale = std::max(scale, std::abs(value));
    // One rounding of the sum; a kernel that starts its sum from the old value rounds once a row.
    const Index terms = kBatch * 24;
    check_within(sum, once + Values(once.size(), 3.0),
                 Values(once.size(), scale * reduction_rtol<T>(terms)));
  }
}

GANMM_CPU_CASE("layers: gradients that are not asked for are left alone") {
  for (const NetworkSpec& spec : every_layer()) {
    CAPTURE(to_string(spec.input));
    Chain<T> t(spec);
    t.fill_gradients(0.25);
    fill(t.input_gradient(), 0.75);
    t.forward(t.x);
    t.backward(t.d_y, {.rows = kBatch});
    CHECK(t.gradients() == Values(t.gradients().size(), 0.25));
    CHECK(read(t.input_gradient()) == Values(t.x.size(), 0.75));
  }
}

GANMM_CPU_CASE("layers: a store without gradients passes signals to the input") {
  for (const NetworkSpec& spec : every_layer()) {
    CAPTURE(to_string(spec.input));
    Chain<T> training(spec), inference(spec, StoreUse::inference);
    training.pass(0, Write::overwrite);
    inference.forward(inference.x);
    inference.backward(inference.d_y, {.rows = kBatch, .input_rows = kBatch});
    check_equal(read(inference.input_gradient()), read(training.input_gradient()));
  }
}

GANMM_CPU_CASE("layers: only the rows asked for get an input gradient") {
  for (const Index first : {0, 2, 4}) {
    CAPTURE(first);
    const Index count = 2;
    const NetworkSpec spec = chain(false);
    Chain<T> t(spec);
    t.forward(t.x);
    t.backward(t.d_y, {.rows = kBatch, .input_rows = kBatch});
    const Index features = spec.input.count();
    const Values all = read(t.input_gradient());
    fill(t.input_gradient(), 7);
    t.backward(t.d_y, {.rows = kBatch, .input_first = first, .input_rows = count});
    const Values now = read(t.input_gradient());
    check_equal(part(now, features, first, count), part(all, features, first, count));
    for (Index b = 0; b < kBatch; ++b) {
      if (b >= first && b < first + count) continue;
      const Values untouched = part(now, features, b, 1);
      CHECK(untouched == Values(untouched.size(), 7.0));
    }
  }
}

GANMM_CPU_CASE("layers: parameter gradients come from the rows named alone") {
  // 3 of 6 rows: with batch norm one of two statistics batches.
  const Index rows = 3;
  for (const NetworkSpec& spec : every_layer()) {
    CAPTURE(to_string(spec.input));
    Chain<T> t(spec);
    if (t.tensors() == 0) continue;
    t.forward(t.x);
    t.backward(t.d_y, {.rows = kBatch, .param_rows = rows});
    const Values some = t.gradients();

    TestNet<T> alone(spec, kGroups, rows, TapeUse::backward, kStatBatch);
    alone.set_parameters(t.parameters());
    alone.forward(part(t.x, spec.input.count(), 0, rows));
    alone.backward(part(t.d_y, t.net.output().count(), 0, rows));
    check_equal(some, alone.gradients());
    CHECK(some != t.pass(0, Write::overwrite));
  }
}

GANMM_CPU_CASE("layers: fewer rows than the tape holds give what they give alone") {
  const Index rows = 3;
  const NetworkSpec spec = chain(true);
  Chain<T> t(spec);
  t.forward(t.x);
  const Index features = t.net.output().count();
  const Values all = t.forward();
  fill(t.output(), kPoison);
  t.net.forward(t.ctx, t.store.all(), t.tape, rows);
  check_equal(read(t.output().rows(0, rows)), part(all, features, 0, rows));
  for (const double value : read(t.output().rows(rows, kBatch - rows))) CHECK(std::isnan(value));
}

GANMM_CPU_CASE("layers: a pass of no rows changes nothing") {
  const NetworkSpec spec = chain(true);
  Chain<T> t(spec);
  const Values y = t.forward(t.x);
  t.fill_gradients(0.5);
  t.net.forward(t.ctx, t.store.all(), t.tape, 0);
  t.backward(t.d_y, {.rows = 0});
  CHECK(read(t.output()) == y);
  CHECK(t.gradients() == Values(t.gradients().size(), 0.5));
}

GANMM_CPU_CASE("tapes: two batches of one network do not interfere") {
  const NetworkSpec spec = chain(true);
  Chain<T> t(spec);
  const Values other_x = rows_of(spec.input, 11), other_d_y = rows_of(t.net.output(), 12);
  const Values y = t.forward(t.x);
  t.backward(t.d_y);
  const Values gradient = t.gradients(), d_x = read(t.input_gradient());
  const Values other_y = t.forward(other_x);
  t.backward(other_d_y);
  const Values other_gradient = t.gradients(), other_d_x = read(t.input_gradient());
  REQUIRE(y != other_y);

  // The same passes, interleaved on two tapes.
  Arena arena;
  Tape<T> second(arena, "second", t.net, kGroups, kBatch, TapeUse::backward, kStatBatch);
  arena.reserve();
  write(second.input(), other_x);
  t.forward(t.x);
  t.net.forward(t.ctx, t.store.all(), second, kBatch);
  check_equal(read(t.output()), y);
  check_equal(read(second.output()), other_y);
  t.backward(t.d_y);
  check_equal(t.gradients(), gradient);
  write(second.signal(second.depth()), other_d_y);
  t.net.backward(t.ctx, t.store.all(), second,
                 {.rows = kBatch, .input_rows = kBatch, .param_rows = kBatch});
  check_equal(t.gradients(), other_gradient);
  check_equal(read(t.input_gradient()), d_x);
  check_equal(read(second.signal(0)), other_d_x);
}

}  // namespace ganmm::nn
