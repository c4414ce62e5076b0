#include "kernels/optim.h"
#include "nn/param_store.h"
#include "tests/nn/net.h"

namespace ganmm::nn {
namespace {

using namespace ganmm::test;

constexpr std::uint64_t kSeed = 42;

NetworkSpec generator() {
  return {"net",
          {4},
          {dense({2, 2, 3}), norm(LayerKind::batch_norm, kRelu), deconv({4, 3, 2}), conv(5),
           dense({7})}};
}

template <class T>
struct Store {
  Store(const NetworkSpec& spec, Index groups, StoreUse use = StoreUse::training)
      : net(spec), store(arena, "store", net.layout(groups), use) {
    arena.reserve();
  }
  Context ctx;
  Arena arena;
  Sequential<T> net;
  ParamStore<T> store;

  int tensors() const { return static_cast<int>(store.layout().specs().size()); }
  const ParamSpec& spec(int tensor) const {
    return store.layout().specs()[static_cast<std::size_t>(tensor)];
  }
  int number(const std::string& name) const {
    for (int i = 0; i < tensors(); ++i) {
      if (spec(i).name == name) return i;
    }
    FAIL("no tensor named ", name);
    return -1;
  }
  void initialize(Index first, Index groups, std::uint32_t generation = 0) {
    store.initialize(ctx, kSeed, generation, first, groups);
  }
  std::vector<T> values(int tensor) { return store.download(ctx, tensor); }
  std::vector<T> values(const std::string& name) { return values(number(name)); }
  std::vector<T> group(int tensor, Index n) {
    const std::vector<T> all = values(tensor);
    const Index count = spec(tensor).shape.count();
    return {all.begin() + n * count, all.begin() + (n + 1) * count};
  }
};

}  // namespace

TEST_CASE("param layout: slots are aligned, in order and do not overlap") {
  const ParamLayout layout = Sequential<float>(generator()).layout(3);
  Index end = 0, sum = 0;
  REQUIRE(layout.slots().size() == layout.specs().size());
  for (std::size_t i = 0; i < layout.slots().size(); ++i) {
    const kernels::TensorSlot& slot = layout.slots()[i];
    CHECK(slot.offset % ParamLayout::kSlotAlignment == 0);
    CHECK(slot.offset >= end);
    CHECK(slot.count == layout.specs()[i].shape.count());
    end = slot.offset + 3 * slot.count;
    sum += slot.count;
  }
  CHECK(layout.elements() >= end);
  CHECK(layout.elements() - end < ParamLayout::kSlotAlignment);
  CHECK(layout.parameters_per_group() == sum);
}

TEST_CASE("param layout: tensors are named after network, layer and role") {
  std::vector<std::string> names;
  const ParamLayout layout = Sequential<float>(generator()).layout(1);
  for (const ParamSpec& spec : layout.specs()) names.push_back(spec.name);
  CHECK(names == std::vector<std::string>{"net.0.weight", "net.0.bias", "net.1.gamma", "net.1.beta",
                                          "net.2.weight", "net.2.bias", "net.3.weight",
                                          "net.3.bias", "net.4.weight", "net.4.bias"});
}

TEST_CASE("param layout: a name declared twice is refused") {
  ParamLayout layout(1);
  CHECK(layout.add({"a", {3}, {}}) == 0);
  CHECK(layout.add({"b", {3}, {}}) == 1);
  CHECK_THROWS_WITH_AS(layout.add({"a", {2}, {}}),
                       doctest::Contains("parameter 'a' declared twice"), ConfigError);
}

GANMM_CPU_CASE("param store: initial values lie within the bounds of the layer's fan") {
  Store<T> s(generator(), 2);
  s.initialize(0, 2);
  // dense: sqrt(6 / (in + out)); convolutions: sqrt(3) sqrt(4 / (fan_in + fan_out)), with 25 taps
  // and the fan on the strided side divided by 4.
  const std::vector<std::pair<std::string, double>> bounds = {
      {"net.0.weight", std::sqrt(6.0 / (4 + 12))},
      {"net.2.weight", std::sqrt(3.0) * std::sqrt(4.0 / (25 * 3 / 4.0 + 25 * 2))},
      {"net.3.weight", std::sqrt(3.0) * std::sqrt(4.0 / (25 * 2 + 25 * 5 / 4.0))},
      {"net.4.weight", std::sqrt(6.0 / (2 * 2 * 5 + 7))}};
  for (const auto& [name, bound] : bounds) {
    CAPTURE(name);
    CHECK(s.spec(s.number(name)).init.bound == doctest::Approx(bound).epsilon(1e-14));
    double low = 0, high = 0, sum = 0;
    const std::vector<T> values = s.values(name);
    for (const T value : values) {
      low = std::min(low, static_cast<double>(value));
      high = std::max(high, static_cast<double>(value));
      sum += static_cast<double>(value);
    }
    CHECK(low >= -bound * (1 + unit_roundoff<float>()));
    CHECK(high <= bound * (1 + unit_roundoff<float>()));
    CHECK(low < -0.9 * bound);
    CHECK(high > 0.9 * bound);
    // The deviation of a uniform is bound / sqrt(3); five standard errors.
    const auto count = static_cast<double>(values.size());
    CHECK(std::abs(sum / count) < 5 * bound / std::sqrt(3 * count));
  }
  for (const T value : s.values("net.1.gamma")) CHECK(value == 1);
  for (const std::string name : {"net.0.bias", "net.1.beta", "net.2.bias", "net.3.bias"}) {
    for (const T value : s.values(name)) CHECK(value == 0);
  }
}

GANMM_CPU_CASE("param store: a group's initial values do not depend on the other groups") {
  Store<T> three(generator(), 3), seven(generator(), 7), alone(generator(), 7);
  three.initialize(0, 3);
  seven.initialize(0, 7);
  alone.initialize(2, 1);
  for (int i = 0; i < three.tensors(); ++i) {
    CAPTURE(three.spec(i).name);
    CHECK(same_bits(three.group(i, 2), seven.group(i, 2)));
    CHECK(same_bits(alone.group(i, 2), seven.group(i, 2)));
    if (three.spec(i).init.kind == Init::Kind::uniform) {
      CHECK_FALSE(same_bits(three.group(i, 1), three.group(i, 2)));
    }
    const std::vector<T> untouched = alone.group(i, 3);
    CHECK(same_bits(untouched, std::vector<T>(untouched.size(), T{0})));
  }
}

GANMM_CPU_CASE("param store: a further layer leaves the other tensors' initial values unchanged") {
  NetworkSpec longer = generator();
  longer.layers.push_back(dense({3}));
  Store<T> before(generator(), 2), after(longer, 2);
  before.initialize(0, 2);
  after.initialize(0, 2);
  REQUIRE(after.tensors() == before.tensors() + 2);
  for (int i = 0; i < before.tensors(); ++i) {
    CHECK(same_bits(before.values(i), after.values(before.spec(i).name)));
  }
}

GANMM_CPU_CASE("param store: seed, generation and name change the initial weights") {
  Store<T> s(generator(), 2);
  NetworkSpec renamed = generator();
  renamed.name = "other";
  Store<T> other(renamed, 2);
  s.initialize(0, 2);
  other.initialize(0, 2);
  const std::vector<T> first = s.values("net.0.weight");
  CHECK_FALSE(same_bits(first, other.values("other.0.weight")));
  s.initialize(0, 2, 1);
  CHECK_FALSE(same_bits(first, s.values("net.0.weight")));
  s.store.initialize(s.ctx, kSeed + 1, 0, 0, 2);
  CHECK_FALSE(same_bits(first, s.values("net.0.weight")));
  s.initialize(0, 2);
  CHECK(same_bits(first, s.values("net.0.weight")));
}

GANMM_CPU_CASE("param store: what is uploaded comes back, other tensors stay") {
  Store<T> s(generator(), 3);
  s.initialize(0, 3);
  for (int i = 0; i < s.tensors(); ++i) {
    std::vector<std::vector<T>> before;
    for (int j = 0; j < s.tensors(); ++j) before.push_back(s.values(j));
    const Values drawn =
        RandomData(static_cast<std::uint64_t>(i)).reals<T>(3 * s.spec(i).shape.count(), -9, 9);
    before[static_cast<std::size_t>(i)].assign(drawn.begin(), drawn.end());
    s.store.upload(s.ctx, i, before[static_cast<std::size_t>(i)]);
    for (int j = 0; j < s.tensors(); ++j) {
      CHECK(same_bits(s.values(j), before[static_cast<std::size_t>(j)]));
    }
  }
  CHECK_THROWS_WITH_AS(s.store.upload(s.ctx, 1, std::vector<T>(5)),
                       doctest::Contains("values of 'net.0.bias': expected 36 elements, found 5"),
                       ShapeError);
}

GANMM_CPU_CASE("param store: a range shows its groups of every tensor") {
  Store<T> s(generator(), 5);
  s.initialize(0, 5);
  const ParamRange<T> range = s.store.range(2, 2);
  CHECK(range.first() == 2);
  for (int i = 0; i < s.tensors(); ++i) {
    const ParamView<const T> view = range.value(i);
    REQUIRE(view.groups == 2);
    REQUIRE(view.shape == s.spec(i).shape);
    for (Index n = 0; n < 2; ++n) {
      CHECK(same_bits(std::vector<T>(view.group(n), view.group(n) + view.count()),
                      s.group(i, 2 + n)));
    }
  }
  CHECK(range.slabs().first_group == 2);
  CHECK(range.slabs().groups == 2);
}

GANMM_CPU_CASE("param store: groups that do not exist are refused") {
  Store<T> s(generator(), 5);
  CHECK_NOTHROW(s.store.range(5, 0));
  CHECK_THROWS_AS(s.store.range(3, 3), ShapeError);
  CHECK_THROWS_AS(s.store.range(-1, 2), ShapeError);
  CHECK_THROWS_AS(s.initialize(4, 2), ShapeError);
}

GANMM_CPU_CASE("param store: one for inference has values alone") {
  Store<T> training(generator(), 2), inference(generator(), 2, StoreUse::inference);
  training.initialize(0, 2);
  inference.initialize(0, 2);
  CHECK(same_bits(training.values(0), inference.values(0)));
  CHECK_NOTHROW(training.store.all().grad(0));
  CHECK_THROWS_WITH_AS(inference.store.all().grad(0),
                       doctest::Contains("gradient of 'net.0.weight'"), ShapeError);
  CHECK_THROWS_AS(kernels::optimizer_step<T>(inference.ctx, inference.store.all().slabs(), {}),
                  ShapeError);
  CHECK(inference.arena.bytes() == aligned_bytes<T>(inference.store.layout().elements()));
}

GANMM_CPU_CASE("param store: nothing is planned once the arena is reserved") {
  Store<T> s(generator(), 2);
  const std::size_t requests = s.arena.requests().size();
  CHECK_THROWS_AS(ParamStore<T>(s.arena, "late", s.net.layout(1), StoreUse::inference), ShapeError);
  CHECK_THROWS_AS(Tape<T>(s.arena, "late", s.net, 1, 2, TapeUse::forward), ShapeError);
  CHECK(s.arena.requests().size() == requests);
}

GANMM_CPU_CASE("param store: nothing is read before the arena is reserved") {
  Arena arena;
  const Sequential<T> net(generator());
  const ParamStore<T> store(arena, "early", net.layout(1), StoreUse::training);
  CHECK_THROWS_AS(store.download(ctx, 0), ShapeError);
}

}  // namespace ganmm::nn
