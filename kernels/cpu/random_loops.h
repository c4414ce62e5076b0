// The inner loops of random fills, compiled once per instruction set (kernels/cpu/isa.h).
#pragma once

#include "kernels/cpu/isa.h"

#include <cstdint>

namespace ganmm::kernels::cpu {

// Where a run of quads starts: Philox key and the three counter words that stay fixed.
struct QuadRun {
  std::uint64_t key;
  std::uint32_t first_quad;
  std::uint32_t counter1, counter2, counter3;
};

// y[4 q + i] = a + b * x_i for quads q in [0, quads), x uniform in [0, 1) or standard normal.
using QuadFill = void (*)(float* y, std::int64_t quads, const QuadRun& run, float a, float b);

// The words themselves: y[4 q + i] = word i of quad q.
using WordFill = void (*)(std::uint32_t* y, std::int64_t quads, const QuadRun& run);

struct RandomLoops {
  QuadFill uniform;
  QuadFill normal;
  WordFill words;
};

const RandomLoops& random_loops(Isa isa);  // the same bits for every one

namespace baseline {
extern const RandomLoops kRandomLoops;
}
namespace avx2 {
extern const RandomLoops kRandomLoops;
}
namespace avx512 {
extern const RandomLoops kRandomLoops;
}

}  // namespace ganmm::kernels::cpu
