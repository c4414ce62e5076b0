#include "tests/io/files.h"
#include "tools/svg.h"

#include <doctest/doctest.h>

namespace ganmm::tools {
namespace {

TEST_CASE("svg: ticks are round and enclose the values") {
  const auto check = [](double low, double high, const std::vector<double>& expected) {
    const auto ticks = round_ticks(low, high, 4);
    REQUIRE(ticks.size() == expected.size());
    for (std::size_t i = 0; i < ticks.size(); ++i) CHECK(ticks[i] == doctest::Approx(expected[i]));
  };
  check(0, 1, {0, 0.5, 1});
  check(0.61, 0.79, {0.6, 0.65, 0.7, 0.75, 0.8});
  check(0, 4200, {0, 2000, 4000, 6000});
  check(0, 4e-7, {0, 1e-7, 2e-7, 3e-7, 4e-7});
  const auto equal = round_ticks(0.5, 0.5 + 1e-12, 4);
  CHECK(equal.size() < 8);
  CHECK(equal.front() <= 0.5);
  CHECK(equal.back() > 0.5);
}

TEST_CASE("svg: an axis maps its ends to its pixels and labels ticks alike") {
  const Axis axis{{0.6, 0.65, 0.7}, 200, 100};
  CHECK(axis.pixel(0.6) == doctest::Approx(200));
  CHECK(axis.pixel(0.7) == doctest::Approx(100));
  CHECK(axis.pixel(0.65) == doctest::Approx(150));
  CHECK(axis.label(0) == "0.60");
  CHECK(axis.label(1) == "0.65");
  CHECK(Axis{{0, 2000}, 0, 1}.label(1) == "2000");
  CHECK(Axis{{1e32, 1.5e32, 2e32}, 0, 1}.label(1) == "1.5e+32");
  CHECK(Axis{{0, 1e-7, 2e-7}, 0, 1}.label(1) == "1e-07");
  CHECK(Axis{{0, 1e-7, 2e-7}, 0, 1}.label(0) == "0");
}

TEST_CASE("svg: text is escaped, the picture closed") {
  Svg svg(100, 50);
  svg.text(1, 2, "a < b & \"c\"", {.anchor = Anchor::middle, .bold = true});
  svg.polyline({1, 2}, {3, 4}, "#000000", 1);
  const std::string picture = svg.str();
  io::test::check_contains(picture, ">a &lt; b &amp; &quot;c&quot;</text>");
  io::test::check_contains(picture, "text-anchor=\"middle\"");
  io::test::check_contains(picture, "points=\"1.0,3.0 2.0,4.0\"");
  io::test::check_contains(picture, "viewBox=\"0 0 100 50\"");
  CHECK(picture.substr(picture.size() - 7) == "</svg>\n");
}

}  // namespace
}  // namespace ganmm::tools
