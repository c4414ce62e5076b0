// A network with the memory of one batch, for tests on the CPU. Values pass in and out as packed
// doubles: rows as [N][B][item], parameters and their gradients as [tensor][N][element].
#pragma once

#include "nn/gradient_penalty.h"
#include "nn/sequential.h"
#include "tests/support/devices.h"
#include "tests/support/gradcheck.h"
#include "tests/support/random_data.h"

#include <algorithm>
#include <string>

namespace ganmm::nn {

inline test::Values slice(const test::Values& values, Index first, Index count) {
  return {values.begin() + first, values.begin() + first + count};
}

template <class T>
test::Values read(const GroupView<T>& view) {
  test::Values values;
  for (Index n = 0; n < view.groups; ++n) {
    for (Index b = 0; b < view.batch; ++b) {
      values.insert(values.end(), view.row(n, b), view.row(n, b) + view.features());
    }
  }
  return values;
}

template <class T>
void write(const GroupView<T>& view, const test::Values& values) {
  require<ShapeError>(static_cast<Index>(values.size()) ==
                          view.groups * view.batch * view.features(),
                      "test rows: expected ", view.groups * view.batch * view.features(),
                      " values, found ", values.size());
  auto next = values.begin();
  for (Index n = 0; n < view.groups; ++n) {
    for (Index b = 0; b < view.batch; ++b) {
      for (Index f = 0; f < view.features(); ++f) view.row(n, b)[f] = static_cast<T>(*next++);
    }
  }
}

template <class T>
void fill(const GroupView<T>& view, double value) {
  const Index count = view.groups * view.batch * view.features();
  write(view, test::Values(static_cast<std::size_t>(count), value));
}

template <class T>
struct TestNet {
  using Rows = typename Sequential<T>::BackwardRows;

  TestNet(const NetworkSpec& spec, Index groups_, Index batch_, TapeUse use, Index stat_batch_ = 0,
          StoreUse store_use = StoreUse::training)
      : groups(groups_), batch(batch_), stat_batch(stat_batch_), net(spec),
        store(arena, "parameters", net.layout(groups), store_use),
        tape(arena, "tape", net, groups, batch, use, stat_batch),
        penalty(arena.request<T>("penalty", groups)) {
    arena.reserve();
    test::reserve_scratch(ctx, workspace(net, ctx, groups, batch));
  }

  Index groups, batch, stat_batch;
  Context ctx;
  Arena arena;
  Sequential<T> net;
  ParamStore<T> store;
  Tape<T> tape;
  Buffer<T> penalty;

  int tensors() const { return static_cast<int>(store.layout().specs().size()); }
  const ParamSpec& spec(int tensor) const {
    return store.layout().specs()[static_cast<std::size_t>(tensor)];
  }
  Index elements(int tensor) const { return groups * spec(tensor).shape.count(); }

  void set_parameter(int tensor, const test::Values& values) {
    store.upload(ctx, tensor, std::vector<T>(values.begin(), values.end()));
  }
  test::Values parameter(int tensor) {
    const std::vector<T> values = store.download(ctx, tensor);
    return {values.begin(), values.end()};
  }
  void set_parameters(const test::Values& values) {
    Index first = 0;
    for (int i = 0; i < tensors(); first += elements(i++)) {
      set_parameter(i, slice(values, first, elements(i)));
    }
  }
  test::Values parameters() {
    test::Values values;
    for (int i = 0; i < tensors(); ++i) {
      const test::Values one = parameter(i);
      values.insert(values.end(), one.begin(), one.end());
    }
    return values;
  }
  // Weights as the network would start with; biases and norm parameters random as well, so that a
  // mistake in them shows.
  void draw_parameters(test::RandomData& random) {
    for (int i = 0; i < tensors(); ++i) {
      const Init& init = spec(i).init;
      const double low = init.kind == Init::Kind::one    ? 0.5
                         : init.kind == Init::Kind::zero ? -0.5
                                                         : -init.bound;
      const double high = init.kind == Init::Kind::one ? 1.5 : -low;
      set_parameter(i, random.reals<float>(elements(i), low, high));
    }
  }

  // A gradient is contiguous over groups: one row per group.
  GroupView<T> gradient_rows(int tensor) const {
    const ParamView<T> grad = store.all().grad(tensor);
    return {grad.data, groups, 1, grad.shape};
  }
  test::Values gradient(int tensor) const { return read(gradient_rows(tensor)); }
  test::Values gradients() const {
    test::Values values;
    for (int i = 0; i < tensors(); ++i) {
      const test::Values one = gradient(i);
      values.insert(values.end(), one.begin(), one.end());
    }
    return values;
  }
  void fill_gradients(double value) {
    for (int i = 0; i < tensors(); ++i) fill(gradient_rows(i), value);
  }

  GroupView<T> input() const { return tape.input(); }
  GroupView<T> output() const { return tape.output(); }
  GroupView<T> output_signal() const { return tape.signal(tape.depth()); }
  GroupView<T> input_gradient() const { return tape.signal(0); }

  test::Values forward(const test::Values& x) {
    write(input(), x);
    return forward();
  }
  test::Values forward() {
    net.forward(ctx, store.all(), tape, batch);
    return read(output());
  }
  // A backward pass of all rows, or of those named.
  void backward(const test::Values& d_y) {
    backward(d_y, {.rows = batch, .input_rows = batch, .param_rows = batch});
  }
  void backward(const test::Values& d_y, const Rows& rows) {
    write(output_signal(), d_y);
    net.backward(ctx, store.all(), tape, rows);
  }
};

// Moves zero into the middle of a wide gap between the pre-activations of every channel, by its
// bias (beta of a norm), wherever the activation has a kink: then no finite difference crosses one
// and both sides of it are in use. Crops have no bias; their input must keep clear of zero.
inline void avoid_kinks(TestNet<double>& t) {
  const NetworkSpec& whole = t.net.spec();
  for (std::size_t l = 0; l < whole.layers.size(); ++l) {
    const kernels::Activation activation = whole.layers[l].activation;
    if (activation.identity() || !activation.piecewise_linear()) continue;
    NetworkSpec spec = whole;
    spec.layers.resize(l + 1);
    spec.layers[l].activation = {};
    TestNet<double> part(spec, t.groups, t.batch, TapeUse::forward, t.stat_batch);
    for (int i = 0; i < part.tensors(); ++i) part.set_parameter(i, t.parameter(i));
    part.forward(read(t.input()));
    const GroupView<double> z = part.output();

    const int bias = part.tensors() - 1;
    const bool movable =
        bias >= 0 && part.spec(bias).init.kind == Init::Kind::zero &&
        part.spec(bias).name.starts_with(spec.name + "." + std::to_string(l) + ".");
    const Index channels = movable ? part.spec(bias).shape.count() : 1;
    test::Values moved = movable ? t.parameter(bias) : test::Values{};
    double clearance = 1;
    for (Index n = 0; n < t.groups; ++n) {
      for (Index c = 0; c < channels; ++c) {
        test::Values values;
        for (Index b = 0; b < z.batch; ++b) {
          for (Index f = c; f < z.features(); f += channels) values.push_back(z.row(n, b)[f]);
        }
        double shift = 0;
        if (movable) {
          std::sort(values.begin(), values.end());
          const std::size_t tail = values.size() / 8;  // where gaps are wide but one-sided
          double widest = 0;
          for (std::size_t i = tail; i + 1 < values.size() - tail; ++i) {
            if (values[i + 1] - values[i] <= widest) continue;
            widest = values[i + 1] - values[i];
            shift = -(values[i + 1] + values[i]) / 2;
          }
          moved[static_cast<std::size_t>(n * channels + c)] += shift;
        }
        for (const double value : values) clearance = std::min(clearance, std::abs(value + shift));
      }
    }
    REQUIRE_MESSAGE(clearance > 100 * test::kDifferenceStep, "pre-activations of layer ", l,
                    " come within ", clearance, " of a kink");
    if (movable) t.set_parameter(bias, moved);
  }
}

// Against central differences, tensor by tensor: kGradientRtol of a tensor's largest component.
// The floor, a hundredth of the largest of all, is for derivatives that vanish identically (a bias
// before a norm), where the difference quotient holds rounding errors only.
inline void check_gradients(const TestNet<double>& t, const test::Values& result,
                            const test::Values& difference) {
  const auto largest = [](const test::Values& values) {
    double most = 0;
    for (const double value : values) most = std::max(most, std::abs(value));
    return most;
  };
  const double floor = 0.01 * largest(difference);
  test::Values allowed;
  Index first = 0;
  for (int i = 0; i < t.tensors(); first += t.elements(i++)) {
    const double scale = std::max(floor, largest(slice(difference, first, t.elements(i))));
    allowed.insert(allowed.end(), static_cast<std::size_t>(t.elements(i)),
                   test::kGradientRtol * scale);
  }
  test::check_within(result, difference, allowed);
}

inline constexpr kernels::Activation kIdentity{};
inline constexpr kernels::Activation kRelu{kernels::ActivationKind::relu};
inline constexpr kernels::Activation kLeaky{kernels::ActivationKind::leaky_relu, 0.2};
inline constexpr kernels::Activation kTanh{kernels::ActivationKind::tanh};
inline constexpr kernels::Activation kSigmoid{kernels::ActivationKind::sigmoid};

inline LayerSpec dense(Shape output, kernels::Activation activation = {}) {
  return {.kind = LayerKind::dense, .output = output, .activation = activation};
}
inline LayerSpec conv(Index channels, kernels::Activation activation = {}) {
  return {.kind = LayerKind::conv, .output = {0, 0, channels}, .activation = activation};
}
inline LayerSpec deconv(Shape output, kernels::Activation activation = {}, Shape padded_as = {}) {
  return {.kind = LayerKind::deconv,
          .output = output,
          .activation = activation,
          .padded_as = padded_as};
}
inline LayerSpec norm(LayerKind kind, kernels::Activation activation = {}, Shape output = {}) {
  return {.kind = kind, .output = output, .activation = activation};
}
inline LayerSpec crop(Shape output, kernels::Activation activation = {}) {
  return {.kind = LayerKind::crop, .output = output, .activation = activation};
}
inline LayerSpec without_bias(LayerSpec layer) {
  layer.bias = false;
  return layer;
}

// One network per layer kind and variant: the layer alone.
struct LayerCase {
  std::string name;
  Shape input;
  LayerSpec layer;

  NetworkSpec spec(kernels::Activation activation) const {
    LayerSpec one = layer;
    one.activation = activation;
    return {"net", input, {one}};
  }
};
inline const std::vector<LayerCase> kLayerCases = {
    {"dense", {5}, dense({4})},
    {"dense to an image", {3}, dense({2, 3, 2})},
    {"dense from an image, no bias", {2, 2, 3}, without_bias(dense({4}))},
    {"conv 5/2", {7, 6, 2}, conv(3)},
    {"conv 3/1, no bias",
     {4, 5, 2},
     {.kind = LayerKind::conv, .output = {0, 0, 2}, .kernel = 3, .stride = 1, .bias = false}},
    {"deconv", {4, 3, 2}, deconv({7, 6, 3})},
    {"deconv with crop", {2, 3, 3}, deconv({3, 5, 2}, {}, {4, 6, 2})},
    {"deconv, no bias", {2, 2, 2}, without_bias(deconv({4, 4, 2}))},
    {"batch norm", {2, 3, 2}, norm(LayerKind::batch_norm)},
    {"batch norm to an image", {12}, norm(LayerKind::batch_norm, {}, {2, 3, 2})},
    {"layer norm", {3, 2, 2}, norm(LayerKind::layer_norm)},
    {"layer norm to an image", {12}, norm(LayerKind::layer_norm, {}, {3, 2, 2})},
    {"crop", {4, 5, 2}, crop({3, 3, 2})},
};
inline const std::vector<kernels::Activation> kActivations = {kIdentity, kRelu, kLeaky, kTanh,
                                                              kSigmoid};

}  // namespace ganmm::nn
