#include "kernels/core/rng.h"
#include "tests/reference/random.h"
#include "tests/support/random_data.h"

namespace ganmm {
namespace {

using namespace ganmm::test;
using reference::Words;

Words words(const Philox& p) { return {p.word[0], p.word[1], p.word[2], p.word[3]}; }

}  // namespace

TEST_CASE("philox: the published known answers come out") {
  struct Answer {
    Words counter;
    std::array<std::uint32_t, 2> key;
    Words expected;
  };
  // Random123, kat_vectors, philox4x32 10.
  const std::vector<Answer> answers = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
  for (const Answer& a : answers) {
    const std::uint64_t key = (std::uint64_t{a.key[1]} << 32) | a.key[0];
    CHECK(words(philox(key, a.counter[0], a.counter[1], a.counter[2], a.counter[3])) == a.expected);
    CHECK(reference::philox(a.counter, a.key) == a.expected);
  }
}

TEST_CASE("philox: the counter is (quad, group, step, purpose) and the key is the seed") {
  const RandomKey key{0x0123456789abcdefu, Purpose::shuffle, 99, 5};
  const Words expected = reference::philox({11, 5 + 3, 99, 7}, {0x89abcdefu, 0x01234567u});
  CHECK(words(philox(key, 3, 11)) == expected);
}

TEST_CASE("philox: the numbers of the purposes never change") {
  CHECK(static_cast<int>(Purpose::initial_weights) == 1);
  CHECK(static_cast<int>(Purpose::noise) == 2);
  CHECK(static_cast<int>(Purpose::generator_noise) == 3);
  CHECK(static_cast<int>(Purpose::interpolation) == 4);
  CHECK(static_cast<int>(Purpose::real_rows) == 5);
  CHECK(static_cast<int>(Purpose::classifier_noise) == 6);
  CHECK(static_cast<int>(Purpose::shuffle) == 7);
  CHECK(static_cast<int>(Purpose::partition) == 8);
  CHECK(static_cast<int>(Purpose::kmeans) == 9);
  CHECK(static_cast<int>(Purpose::sample) == 10);
  CHECK(static_cast<int>(Purpose::split) == 11);
}

TEST_CASE("philox: uniforms are the top 24 bits") {
  CHECK(uniform01(0) == 0.0f);
  CHECK(uniform01(0xff) == 0.0f);
  CHECK(uniform01(0x100) == 0x1p-24f);
  CHECK(uniform01(0x80000000u) == 0.5f);
  CHECK(uniform01(0xffffffffu) == 1.0f - 0x1p-24f);
}

TEST_CASE("philox: bounded integers cover their range evenly") {
  CHECK(uniform_below(0, 7) == 0);
  CHECK(uniform_below(0xffffffffu, 7) == 6);
  CHECK(uniform_below(0xffffffffu, 1) == 0);
  CHECK(uniform_below(0x80000000u, 10) == 5);
  CHECK(uniform_below(0x7fffffffu, 10) == 4);
  CHECK(uniform_below(0xffffffffu, 0xffffffffu) == 0xfffffffeu);
}

TEST_CASE("philox: normals agree with Box-Muller in double precision") {
  RandomData random(1);
  double worst = 0;
  const auto compare = [&](std::uint32_t w0, std::uint32_t w1) {
    const NormalPair n = box_muller(w0, w1);
    const reference::PolarPair exact = reference::box_muller(w0, w1);
    const double error = std::max(std::abs(static_cast<double>(n.first) - exact.first),
                                  std::abs(static_cast<double>(n.second) - exact.second));
    if (error > 0) worst = std::max(worst, error / exact.radius);
  };
  for (int i = 0; i < 200000; ++i) {
    compare(static_cast<std::uint32_t>(random.integer(0, 0xffffffff)),
            static_cast<std::uint32_t>(random.integer(0, 0xffffffff)));
  }
  // The ends of the logarithm, the seams of its split at 2/3 and of the quarter turns.
  const std::vector<std::uint32_t> logs = {
      0u,          0x100u,      0x200u,      0x55555400u, 0x55555500u, 0x55555600u, 0xaaaaa900u,
      0xaaaaaa00u, 0xaaaaab00u, 0x7fffff00u, 0x80000000u, 0xfffffe00u, 0xffffff00u};
  const std::vector<std::uint32_t> turns = {
      0u,          0x1fffff00u, 0x20000000u, 0x3fffff00u, 0x40000000u, 0x5fffff00u, 0x60000000u,
      0x80000000u, 0x9fffff00u, 0xa0000000u, 0xc0000000u, 0xe0000000u, 0xffffff00u};
  for (const std::uint32_t w0 : logs) {
    for (const std::uint32_t w1 : turns) compare(w0, w1);
  }
  // Radius, angle, polynomial and product: about a dozen roundings, relative to the radius.
  CHECK(worst <= 8 * unit_roundoff<float>());
  CHECK(worst > 0);
}

TEST_CASE("philox: the largest uniform gives radius zero, the smallest the longest tail") {
  CHECK(minus_two_log(0xffffffffu) == 0.0f);
  // sqrt(2 * 24 ln 2)
  const double longest = std::sqrt(48 * std::log(2.0));
  CHECK(std::abs(static_cast<double>(box_muller(0, 0).first) - longest) <
        8 * unit_roundoff<float>() * longest);
  CHECK(box_muller(0, 0).second == 0.0f);
}

}  // namespace ganmm
