// fill_uniform, fill_normal: the numbers of kernels/core/rng.h, bit for bit those of the CPU.
//
// One thread per quad of elements: 10 rounds of Philox are about 100 integer instructions for 16
// bytes, Box-Muller as many again in single precision, so that a large fill is bound by
// instructions, at about half the memory bandwidth; the usual fill of some 10^5 numbers is bound by
// its launch. Rows that are not back to back cost one division per quad.
#include "kernels/backend.h"
#include "kernels/cuda/elements.h"

namespace ganmm::kernels::cuda {

namespace {

enum class Law { uniform, normal };

template <Law kLaw, class T>
GANMM_KERNEL fill_random_kernel(ElementWalk quads, Rows<T> y, Index features, Index elements,
                                bool contiguous, bool packed, float a, float b, RandomKey key) {
  key.step = step_of(key);  // one read of the counter per thread
  key.counter = nullptr;
  for_each_element(quads, [&](Index group, Index, Index quad) {
    const Philox draw =
        philox(key, static_cast<std::uint32_t>(group), static_cast<std::uint32_t>(quad));
    float number[4];
    if constexpr (kLaw == Law::uniform) {
      for (int i = 0; i < 4; ++i) number[i] = uniform01(draw.word[i]);
    } else {
      for (int i = 0; i < 4; i += 2) {
        const NormalPair pair = box_muller(draw.word[i], draw.word[i + 1]);
        number[i] = pair.first;
        number[i + 1] = pair.second;
      }
    }
    Pack<T, 4> out;
    for (int i = 0; i < 4; ++i) out.value[i] = static_cast<T>(add_rn(a, mul_rn(b, number[i])));

    const Index first = 4 * quad;
    T* base = y.data + group * y.group_stride;
    if (packed && first + 4 <= elements) {
      *reinterpret_cast<Pack<T, 4>*>(base + first) = out;
      return;
    }
    Index row = contiguous ? 0 : first / features;
    Index col = first - row * features;
    for (int i = 0; i < 4 && first + i < elements; ++i) {
      base[row * y.row_stride + col] = out.value[i];
      if (++col == features && !contiguous) {
        col = 0;
        ++row;
      }
    }
  });
}

template <Law kLaw, class T>
void fill_random(Context& ctx, const char* name, const GroupView<T>& y, float a, float b,
                 const RandomKey& key) {
  const Index elements = y.batch * y.features();
  if (y.groups == 0 || elements == 0) return;
  const bool contiguous = y.rows_contiguous();
  const bool packed = contiguous &&
                      reinterpret_cast<std::uintptr_t>(y.data) % sizeof(Pack<T, 4>) == 0 &&
                      (y.groups == 1 || y.group_stride % 4 == 0);
  const auto [walk, shape] = element_launch(ctx, {y.groups, 1, (elements + 3) / 4});
  launch(ctx, name, shape, fill_random_kernel<kLaw, T>, walk,
         Rows<T>{y.data, y.group_stride, y.batch_stride}, y.features(), elements, contiguous,
         packed, a, b, key);
}

}  // namespace

template <class T>
void fill_uniform(Context& ctx, GroupView<T> y, double low, double high, const RandomKey& key) {
  const auto from = static_cast<float>(low);
  fill_random<Law::uniform>(ctx, "fill_uniform", y, from, static_cast<float>(high) - from, key);
}

template <class T>
void fill_normal(Context& ctx, GroupView<T> y, double mean, double deviation,
                 const RandomKey& key) {
  fill_random<Law::normal>(ctx, "fill_normal", y, static_cast<float>(mean),
                           static_cast<float>(deviation), key);
}

#define GANMM_INSTANTIATE(T)                                                                       \
  template void fill_uniform<T>(Context&, GroupView<T>, double, double, const RandomKey&);         \
  template void fill_normal<T>(Context&, GroupView<T>, double, double, const RandomKey&);
GANMM_INSTANTIATE(float)
GANMM_INSTANTIATE(BFloat16)

}  // namespace ganmm::kernels::cuda
