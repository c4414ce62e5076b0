#include "io/scaling.h"

#include "tests/io/files.h"

#include <cmath>
#include <limits>

using namespace ganmm;
using namespace ganmm::io;
using namespace ganmm::io::test;

namespace {

Dataset table(Index features, std::vector<float> values) {
  Dataset data;
  data.rows = static_cast<Index>(values.size()) / features;
  data.item = Shape{features};
  data.values = std::move(values);
  data.source = "table";
  return data;
}

std::vector<float> scaled(const Dataset& data, ScaleKind kind) {
  std::vector<float> values = data.values;
  apply(fit_scaling(data, kind), values, data.item.count());
  return values;
}

using Floats = std::vector<float>;

}  // namespace

TEST_CASE("scaling: every definition gives the values worked out by hand") {
  // Columns (0, 2, 4, 10) with mean 4 and variance 14, and a constant one.
  const Dataset data = table(2, {0, 9, 2, 9, 4, 9, 10, 9});
  const auto z = [](double x) { return static_cast<float>(x / std::sqrt(14.0)); };
  CHECK(scaled(data, ScaleKind::none) == data.values);
  CHECK(scaled(data, ScaleKind::standard) == Floats{z(-4), 0, z(-2), 0, 0, 0, z(6), 0});
  CHECK(scaled(data, ScaleKind::maxabs) == Floats{-4 / 6.0F, 0, -2 / 6.0F, 0, 0, 0, 1, 0});
  CHECK(scaled(data, ScaleKind::minmax) == Floats{0, 0, 0.2F, 0, 0.4F, 0, 1, 0});
  CHECK(scaled(data, ScaleKind::unit) == Floats{0, 0.9F, 0.2F, 0.9F, 0.4F, 0.9F, 1, 0.9F});
}

TEST_CASE("scaling: maxabs takes the largest distance on either side of the mean") {
  CHECK(scaled(table(1, {-9, 0, 3, 6}), ScaleKind::maxabs) ==
        Floats{-1, 0, static_cast<float>(1 / 3.0), static_cast<float>(2 / 3.0)});
}

TEST_CASE("scaling: a constant column becomes 0 and comes back") {
  for (const ScaleKind kind : {ScaleKind::standard, ScaleKind::maxabs, ScaleKind::minmax}) {
    const Dataset data = table(1, Floats(3, 0.1F));
    const Scaling scaling = fit_scaling(data, kind);
    CHECK(scaling.factor[0] == 1);
    Floats values = data.values;
    apply(scaling, values, 1);
    CHECK(values == Floats(3, 0));
    invert(scaling, values, 1);
    CHECK(values == data.values);
  }
  CHECK(scaled(table(1, Floats(3, 0)), ScaleKind::unit) == Floats(3, 0));
}

TEST_CASE("scaling: a large offset does not drown the spread") {
  const Floats values = scaled(table(1, {16777210, 16777212, 16777214}), ScaleKind::standard);
  CHECK(values[0] == doctest::Approx(-std::sqrt(1.5)));
  CHECK(values[1] == 0);
  CHECK(values[2] == doctest::Approx(std::sqrt(1.5)));
}

TEST_CASE("scaling: automatic is maxabs for tables and unit for images") {
  Dataset data = table(4, {0, 10, 20, 200, 0, 30, 10, 100});
  CHECK(resolve_scale(data, ScaleKind::automatic) == ScaleKind::maxabs);
  CHECK(scaled(data, ScaleKind::automatic) == scaled(data, ScaleKind::maxabs));
  data.item = Shape{2, 2, 1};
  CHECK(resolve_scale(data, ScaleKind::automatic) == ScaleKind::unit);
  CHECK(resolve_scale(data, ScaleKind::none) == ScaleKind::none);
  const Scaling scaling = fit_scaling(data, ScaleKind::automatic);
  CHECK(scaling.offset == std::vector<double>{0});
  CHECK(scaling.factor == std::vector<double>{1 / 255.0});
}

TEST_CASE("scaling: unit divides by 255 only for images of integers within 0..255") {
  const auto factor = [](Shape item, Floats values) {
    Dataset data = table(item.count(), std::move(values));
    data.item = item;
    return 1 / fit_scaling(data, ScaleKind::unit).factor[0];
  };
  const Shape image{1, 2, 1};
  CHECK(factor(image, {0, 200}) == doctest::Approx(255));
  CHECK(factor(image, {0, 1}) == doctest::Approx(1));
  CHECK(factor(image, {0.5F, 200}) == doctest::Approx(200));
  CHECK(factor(image, {-4, 200}) == doctest::Approx(200));
  CHECK(factor(image, {0, 1000}) == doctest::Approx(1000));
  CHECK(factor(Shape{2}, {0, 200}) == doctest::Approx(200));
}

TEST_CASE("scaling: invert undoes apply") {
  const Dataset data = table(3, {1, -20, 300, 4, 50, -600, 7, 80, 900, 0.5F, 1e-3F, 1e6F});
  for (const ScaleKind kind : {ScaleKind::automatic, ScaleKind::none, ScaleKind::standard,
                               ScaleKind::maxabs, ScaleKind::minmax, ScaleKind::unit}) {
    const Scaling scaling = fit_scaling(data, kind);
    Floats values = data.values;
    apply(scaling, values, 3);
    invert(scaling, values, 3);
    for (std::size_t i = 0; i < values.size(); ++i) {
      // Scaled values are rounded to float around a column's own magnitude.
      const double magnitude = i % 3 == 2 ? 1e6 : 100;
      CHECK(std::abs(values[i] - data.values[i]) <= 1e-6 * magnitude);
    }
  }
}

TEST_CASE("scaling: new data beyond float is refused, samples beyond float are held at its end") {
  const Scaling scaling{{0}, {1e30}};
  Floats values = {1, 2, 3, 1e10F};
  check_contains(error_of<InputError>([&] { apply(scaling, values, 2); }), "row 2, column 2");
  Floats samples = {1e10F};
  invert(Scaling{{0}, {1e-30}}, samples, 1);
  CHECK(samples == Floats{std::numeric_limits<float>::max()});
}

TEST_CASE("scaling: sizes that do not fit each other are refused") {
  const Scaling two{{0, 0}, {1, 1}};
  Floats values(6);
  CHECK_NOTHROW(apply(two, values, 2));
  CHECK_THROWS_AS(apply(two, values, 3), ShapeError);
  CHECK_THROWS_AS(apply(two, values, 4), ShapeError);
  CHECK_THROWS_AS(invert(two, values, 0), ShapeError);
  CHECK_THROWS_AS(apply(Scaling{{0}, {1, 1}}, values, 2), ShapeError);
  CHECK_THROWS_AS(fit_scaling(table(2, {}), ScaleKind::unit), InputError);
}

TEST_CASE("scaling: names read back and unknown ones list the choices") {
  for (const char* name : {"auto", "none", "standard", "maxabs", "minmax", "unit"}) {
    CHECK(to_string(parse_scale(name)) == name);
  }
  const auto error = error_of<ConfigError>([] { parse_scale("zscore"); });
  check_contains(error, "auto, none, standard, maxabs, minmax or unit, found 'zscore'");
}
