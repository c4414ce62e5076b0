// optimizer_step, optimizer_reset, round_values: one pass over the slabs for all tensors of all
// groups, formulas in kernels/optim.h.
//
// The tensor table travels in the kernel's parameters. A thread takes quads: 16 aligned bytes of a
// slab, counted through all tensors of a group, so that many small tensors fill a block as well as
// a large one does. The first and last quad of a tensor may be shared with its neighbours and are
// then taken element by element. Quads lie on grid.x, groups on grid.y.
// Bound by memory bandwidth: 28 bytes per parameter for Adam, 20 for RMSProp, 2 for the rounded
// copy. Every block computes the step's two powers once, hence blocks that stay for several quads.
#include "kernels/backend.h"
#include "kernels/cuda/elements.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace ganmm::kernels::cuda {

namespace {

constexpr Index kQuad = 4;
constexpr int kSlots = 64;  // in one launch; 1.5 KB of the 4 KB that parameters may take

struct SlotTable {
  struct Entry {
    Index first_quad, offset, count;
  };
  int slots;
  Index quads;  // of one group, at least as many as its elements touch
  Entry entry[kSlots];
};

struct Quads {
  float* value;
  float* grad;
  float* state1;
  float* state2;
  BFloat16* rounded;
  bool aligned;  // 16-byte accesses are possible
};

// Calls f(begin, end) for the elements of every quad that belong to `group`.
template <class F>
GANMM_DEVICE void for_each_quad(const SlotTable& table, Index group, F f) {
  const Index step = Index{device::grid_size_x()} * device::block_size_x();
  int s = 0;
  for (Index q = Index{device::block_index_x()} * device::block_size_x() + device::thread_index_x();
       q < table.quads; q += step) {
    while (s + 1 < table.slots && q >= table.entry[s + 1].first_quad) ++s;
    const Index start = table.entry[s].offset + group * table.entry[s].count;
    const Index end = start + table.entry[s].count;
    const Index quad = (start / kQuad + q - table.entry[s].first_quad) * kQuad;
    f(quad > start ? quad : start, quad + kQuad < end ? quad + kQuad : end);
  }
}

using Quad = Pack<float, kQuad>;

GANMM_DEVICE Quad& quad_at(float* slab, Index at) { return *reinterpret_cast<Quad*>(slab + at); }

GANMM_DEVICE void store_rounded(BFloat16* rounded, Index at, const Quad& value) {
  Pack<BFloat16, kQuad> pack;
  for (int i = 0; i < kQuad; ++i) pack.value[i] = BFloat16(value.value[i]);
  *reinterpret_cast<Pack<BFloat16, kQuad>*>(rounded + at) = pack;
}

// The settings as the CPU rounds them; those that depend on the step are computed by the block.
struct Rates {
  double learning_rate, beta1, beta2;
  float b1, b2, epsilon, limit;
};

GANMM_DEVICE float clamped(float value, float limit) {
  return value < -limit ? -limit : (value > limit ? limit : value);
}

template <OptimizerKind kind>
GANMM_DEVICE void update(float& p, float g, float& state1, float& state2, const Rates& s,
                         float rate, float root_scale) {
  if constexpr (kind == OptimizerKind::adam) {
    state1 = s.b1 * state1 + (1.0f - s.b1) * g;
    state2 = s.b2 * state2 + (1.0f - s.b2) * g * g;
    p = clamped(p - rate * state1 / (std::sqrt(state2) * root_scale + s.epsilon), s.limit);
  } else {
    state1 = s.b2 * state1 + (1.0f - s.b2) * g * g;
    p = clamped(p - rate * g / std::sqrt(state1 + s.epsilon), s.limit);
  }
}

// The steps count before the update reads them: its blocks cannot tell which of them is last.
GANMM_KERNEL advance_steps_kernel(std::int32_t* step, Index groups) {
  const Index g =
      Index{device::block_index_x()} * device::block_size_x() + device::thread_index_x();
  if (g < groups) ++step[g];
}

template <OptimizerKind kind>
GANMM_KERNEL optimizer_step_kernel(SlotTable table, Quads slabs, const std::int32_t* step,
                                   Index first_group, Rates settings) {
  constexpr bool adam = kind == OptimizerKind::adam;
  const Index group = first_group + device::block_index_y();
  GANMM_SHARED(float, of_step, 2);
  if constexpr (adam) {
    const int thread = device::thread_index_x();
    const double t = step[group];
    // In two warps, side by side.
    if (thread == 0) {
      of_step[0] = static_cast<float>(settings.learning_rate / (1.0 - std::pow(settings.beta1, t)));
    } else if (thread == device::kWarpSize) {
      of_step[1] = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(settings.beta2, t)));
    }
    device::sync_threads();
  }
  const float rate = adam ? of_step[0] : static_cast<float>(settings.learning_rate);
  const float root_scale = adam ? of_step[1] : 0.0f;

  for_each_quad(table, group, [&](Index begin, Index end) {
    if (slabs.aligned && end - begin == kQuad) {
      const Quad g = quad_at(slabs.grad, begin);
      Quad p = quad_at(slabs.value, begin);
      Quad state1 = quad_at(slabs.state1, begin);
      Quad state2{};
      if constexpr (adam) state2 = quad_at(slabs.state2, begin);
      for (int i = 0; i < kQuad; ++i) {
        update<kind>(p.value[i], g.value[i], state1.value[i], state2.value[i], settings, rate,
                     root_scale);
      }
      quad_at(slabs.value, begin) = p;
      quad_at(slabs.state1, begin) = state1;
      if constexpr (adam) quad_at(slabs.state2, begin) = state2;
      if (slabs.rounded != nullptr) store_rounded(slabs.rounded, begin, p);
      return;
    }
    for (Index i = begin; i < end; ++i) {
      float unused = 0.0f;
      update<kind>(slabs.value[i], slabs.grad[i], slabs.state1[i], adam ? slabs.state2[i] : unused,
                   settings, rate, root_scale);
      if (slabs.rounded != nullptr) slabs.rounded[i] = BFloat16(slabs.value[i]);
    }
  });
}

// state1 = start, state2 = 0 where there is one.
GANMM_KERNEL optimizer_reset_kernel(SlotTable table, Quads slabs, Index first_group, float start) {
  const Index group = first_group + device::block_index_y();
  for_each_quad(table, group, [&](Index begin, Index end) {
    if (slabs.aligned && end - begin == kQuad) {
      quad_at(slabs.state1, begin) = {{start, start, start, start}};
      if (slabs.state2 != nullptr) quad_at(slabs.state2, begin) = {};
      return;
    }
    for (Index i = begin; i < end; ++i) {
      slabs.state1[i] = start;
      if (slabs.state2 != nullptr) slabs.state2[i] = 0.0f;
    }
  });
}

GANMM_KERNEL round_values_kernel(SlotTable table, Quads slabs, Index first_group) {
  const Index group = first_group + device::block_index_y();
  for_each_quad(table, group, [&](Index begin, Index end) {
    if (slabs.aligned && end - begin == kQuad) {
      store_rounded(slabs.rounded, begin, quad_at(slabs.value, begin));
      return;
    }
    for (Index i = begin; i < end; ++i) slabs.rounded[i] = BFloat16(slabs.value[i]);
  });
}

bool divisible(const void* address, std::uintptr_t bytes) {
  return reinterpret_cast<std::uintptr_t>(address) % bytes == 0;
}

Quads quads_of(const ParamSlabs<float>& slabs, OptimizerKind kind) {
  float* state2 = kind == OptimizerKind::adam ? slabs.state2 : nullptr;
  const bool aligned = divisible(slabs.value, sizeof(Quad)) &&
                       divisible(slabs.grad, sizeof(Quad)) &&
                       divisible(slabs.state1, sizeof(Quad)) && divisible(state2, sizeof(Quad)) &&
                       divisible(slabs.rounded, sizeof(Pack<BFloat16, kQuad>));
  return {slabs.value, slabs.grad, slabs.state1, state2, slabs.rounded, aligned};
}

// f(table, shape) for every kSlots tensors that have elements.
template <class F>
void for_each_table(Context& ctx, const ParamSlabs<float>& slabs, F f) {
  SlotTable table{};
  const auto flush = [&] {
    if (table.slots == 0) return;
    const Index needed = (table.quads + kElementThreads - 1) / kElementThreads;
    const Index resident = std::max<Index>(1, resident_blocks(ctx) / slabs.groups);
    f(table, LaunchShape{std::min(needed, resident), slabs.groups, 1, kElementThreads});
    table.slots = 0;
    table.quads = 0;
  };
  for (const TensorSlot& slot : *slabs.slots) {
    if (slot.count == 0) continue;
    table.entry[table.slots++] = {table.quads, slot.offset, slot.count};
    table.quads += (slot.count + 2 * (kQuad - 1)) / kQuad;  // wherever in a quad it starts and ends
    if (table.slots == kSlots) flush();
  }
  flush();
}

}  // namespace

template <class T>
void optimizer_step(Context& ctx, const ParamSlabs<T>& slabs, const OptimizerSettings& settings) {
  if (slabs.groups == 0) return;
  if (slabs.step != nullptr) {
    launch(ctx, "advance_steps",
           {(slabs.groups + kElementThreads - 1) / kElementThreads, 1, 1, kElementThreads},
           advance_steps_kernel, slabs.step + slabs.first_group, slabs.groups);
  }
  const float limit = settings.clip > 0 ? static_cast<float>(settings.clip) : INFINITY;
  const Rates rates{settings.learning_rate,
                    settings.beta1,
                    settings.beta2,
                    static_cast<float>(settings.beta1),
                    static_cast<float>(settings.beta2),
                    static_cast<float>(settings.epsilon),
                    limit};
  const Quads quads = quads_of(slabs, settings.kind);
  for_each_table(ctx, slabs, [&](const SlotTable& table, const LaunchShape& shape) {
    const auto kernel = settings.kind == OptimizerKind::adam
                            ? optimizer_step_kernel<OptimizerKind::adam>
                            : optimizer_step_kernel<OptimizerKind::rmsprop>;
    launch(ctx, "optimizer_step", shape, kernel, table, quads, slabs.step, slabs.first_group,
           rates);
  });
}

void round_values(Context& ctx, const ParamSlabs<float>& slabs) {
  if (slabs.groups == 0) return;
  const Quads quads = quads_of(slabs, OptimizerKind::rmsprop);
  for_each_table(ctx, slabs, [&](const SlotTable& table, const LaunchShape& shape) {
    launch(ctx, "round_values", shape, round_values_kernel, table, quads, slabs.first_group);
  });
}

template <class T>
void optimizer_reset(Context& ctx, const ParamSlabs<T>& slabs, const OptimizerSettings& settings) {
  if (slabs.groups == 0) return;
  if (slabs.step != nullptr) {
    ctx.clear(slabs.step + slabs.first_group,
              static_cast<std::size_t>(slabs.groups) * sizeof *slabs.step);
  }
  const Quads quads = quads_of(slabs, settings.kind);
  const float start = settings.kind == OptimizerKind::rmsprop ? 1.0f : 0.0f;
  for_each_table(ctx, slabs, [&](const SlotTable& table, const LaunchShape& shape) {
    launch(ctx, "optimizer_reset", shape, optimizer_reset_kernel, table, quads, slabs.first_group,
           start);
  });
}

template void optimizer_step<float>(Context&, const ParamSlabs<float>&, const OptimizerSettings&);
template void optimizer_reset<float>(Context&, const ParamSlabs<float>&, const OptimizerSettings&);

}  // namespace ganmm::kernels::cuda
