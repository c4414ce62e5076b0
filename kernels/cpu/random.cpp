#include "kernels/backend.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/random_loops.h"

#include <algorithm>
#include <array>

namespace ganmm::kernels::cpu {

const RandomLoops& random_loops([[maybe_unused]] Isa isa) {
#if defined(__x86_64__)
  switch (isa) {
  case Isa::avx512: return avx512::kRandomLoops;
  case Isa::avx2: return avx2::kRandomLoops;
  case Isa::baseline: break;
  }
#endif
  return baseline::kRandomLoops;
}

namespace {

// Elements [first, first + count) of one group's stream, count <= the block.
constexpr Index kBlock = 1024;

template <class T>
void fill(GroupView<T> y, QuadFill loop, float a, float b, const RandomKey& key) {
  const Index features = y.features();
  const Index elements = y.batch * features;
  std::array<float, kBlock> block;
  for (Index g = 0; g < y.groups; ++g) {
    QuadRun run{key.seed, 0, key.first_group + static_cast<std::uint32_t>(g), step_of(key),
                static_cast<std::uint32_t>(key.purpose)};
    T* out = y.data + g * y.group_stride;
    Index done = 0;
    if constexpr (std::is_same_v<T, float>) {
      if (y.rows_contiguous()) {  // whole quads straight into place
        loop(out, elements / 4, run, a, b);
        done = elements / 4 * 4;
      }
    }
    while (done < elements) {
      const Index count = std::min(kBlock, elements - done);
      run.first_quad = static_cast<std::uint32_t>(done / 4);
      loop(block.data(), (count + 3) / 4, run, a, b);
      for (Index e = done; e < done + count; ++e) {
        const Index offset = y.rows_contiguous() ? e : e / features * y.batch_stride + e % features;
        out[offset] = static_cast<T>(block[static_cast<std::size_t>(e - done)]);
      }
      done += count;
    }
  }
}

}  // namespace

template <class T>
void fill_uniform(Context&, GroupView<T> y, double low, double high, const RandomKey& key) {
  fill(y, random_loops(best_isa()).uniform, static_cast<float>(low),
       static_cast<float>(high) - static_cast<float>(low), key);
}

template <class T>
void fill_normal(Context&, GroupView<T> y, double mean, double deviation, const RandomKey& key) {
  fill(y, random_loops(best_isa()).normal, static_cast<float>(mean), static_cast<float>(deviation),
       key);
}

template void fill_uniform<float>(Context&, GroupView<float>, double, double, const RandomKey&);
template void fill_uniform<double>(Context&, GroupView<double>, double, double, const RandomKey&);
template void fill_normal<float>(Context&, GroupView<float>, double, double, const RandomKey&);
template void fill_normal<double>(Context&, GroupView<double>, double, double, const RandomKey&);

}  // namespace ganmm::kernels::cpu
