#include "kernels/cpu/onednn.h"

#include <omp.h>

#include <algorithm>
#include <cstring>
#include <dnnl.hpp>
#include <memory>
#include <mutex>
#include <type_traits>
#include <unordered_map>
#include <vector>

namespace ganmm::kernels::cpu::onednn {

namespace {

// A filter above this size leaves the second-level cache between two items.
constexpr Index kLargeFilterBytes = Index{1} << 20;

// One primitive and the number of items it takes per call.
struct ConvCase {
  ConvOp op;
  Index batch;
  ConvGeometry geometry;

  bool operator==(const ConvCase&) const = default;
};

ConvCase case_of(ConvOp op, Index batch, const ConvGeometry& geometry) {
  const bool large = aligned_bytes<float>(geometry.filter().count()) > kLargeFilterBytes;
  const bool whole_batch = op == ConvOp::backward_weights || (op == ConvOp::backward_data && large);
  return {op, whole_batch ? batch : 1, geometry};
}

using dnnl::memory;
using Arguments = std::unordered_map<int, memory>;

// The library asks OpenMP how many threads to use, when a primitive is made and when it runs, and
// would split sums accordingly.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

// A ready primitive with the layouts it wants. `reorder_*` bring the filter into its layout or,
// for weights, out of it.
struct Plan {
  bool available = false;
  memory::desc source, target, filter, own_filter, scratchpad;
  dnnl::primitive primitive, reorder, reorder_add;

  bool same_filter() const { return filter == own_filter; }
};

memory::desc items(Index batch, const Shape& item) {
  return {{batch, item[2], item[0], item[1]}, memory::data_type::f32, memory::format_tag::nhwc};
}

Plan make_plan(const ConvCase& which) {
  const ConvGeometry& g = which.geometry;
  const auto f32 = memory::data_type::f32;
  const memory::dims filter_dims{g.out_c, g.in_c, g.kernel, g.kernel};
  const memory::dims strides{g.stride, g.stride};
  const memory::dims before{g.pad_top, g.pad_left};
  // Negative where the windows do not reach the end of the image; the library accepts that.
  const memory::dims after{(g.out_h - 1) * g.stride + g.kernel - g.in_h - g.pad_top,
                           (g.out_w - 1) * g.stride + g.kernel - g.in_w - g.pad_left};
  Plan plan;
  plan.source = items(which.batch, g.input());
  plan.target = items(which.batch, g.output());
  plan.own_filter = memory::desc(filter_dims, f32, memory::format_tag::hwio);
  const memory::desc any_filter(filter_dims, f32, memory::format_tag::any);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const auto direct = dnnl::algorithm::convolution_direct;

  const auto take = [&plan](const auto& description, const memory::desc& filter) {
    // "ref" is scalar code without blocking: the unfolded product is far better.
    plan.available = std::strncmp(description.impl_info_str(), "ref", 3) != 0;
    plan.filter = filter;
    plan.scratchpad = description.scratchpad_desc();
  };
  try {
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::convolution_forward::primitive_desc forward(
        engine(), dnnl::prop_kind::forward_training, direct, plan.source, any_filter, plan.target,
        strides, before, after, attributes);
#else
    const dnnl::convolution_forward::primitive_desc forward({dnnl::prop_kind::forward_training,
                                                             direct, plan.source, any_filter,
                                                             plan.target, strides, before, after},
                                                            attributes, engine());
#endif
    const auto backward_of = [&](auto kind) {
      using Description = typename decltype(kind)::type::primitive_desc;
#if DNNL_VERSION_MAJOR >= 3
      return Description(engine(), direct, plan.source, any_filter, plan.target, strides, before,
                         after, forward, attributes);
#else
      return Description({direct, plan.source, any_filter, plan.target, strides, before, after},
                         attributes, engine(), forward);
#endif
    };
    if (which.op == ConvOp::forward) {
      take(forward, forward.weights_desc());
      plan.primitive = dnnl::convolution_forward(forward);
    } else if (which.op == ConvOp::backward_data) {
      const auto backward = backward_of(std::type_identity<dnnl::convolution_backward_data>{});
      take(backward, backward.weights_desc());
      plan.primitive = dnnl::convolution_backward_data(backward);
    } else {
      const auto backward = backward_of(std::type_identity<dnnl::convolution_backward_weights>{});
      take(backward, backward.diff_weights_desc());
      plan.primitive = dnnl::convolution_backward_weights(backward);
    }
  } catch (const dnnl::error& error) {
    if (error.status != dnnl_unimplemented && error.status != dnnl_invalid_arguments) throw;
    return plan;
  }
  if (!plan.available) return plan;
  using Reorder = dnnl::reorder::primitive_desc;
  if (which.op == ConvOp::backward_weights) {
    dnnl::post_ops add;
    add.append_sum(1.0f);
    dnnl::primitive_attr adding;
    adding.set_post_ops(add);
    plan.reorder = dnnl::reorder(Reorder(engine(), plan.filter, engine(), plan.own_filter));
    plan.reorder_add =
        dnnl::reorder(Reorder(engine(), plan.filter, engine(), plan.own_filter, adding));
  } else if (!plan.same_filter()) {
    plan.reorder = dnnl::reorder(Reorder(engine(), plan.own_filter, engine(), plan.filter));
  }
  return plan;
}

std::string text(const ConvCase& which) {
  return message("oneDNN convolution of ", to_string(which.geometry.input()), " to ",
                 to_string(which.geometry.output()), ", kernel ", which.geometry.kernel,
                 ", stride ", which.geometry.stride);
}

// Runs `body` on one thread, with the library's errors told in the project's form.
template <class Body>
auto guarded(const ConvCase& which, Body&& body) {
  const OneThread one_thread;
  try {
    return body();
  } catch (const dnnl::error& error) {
    throw DeviceError(message(text(which), ": expected success, found '", error.what(),
                              "' (status ", static_cast<int>(error.status),
                              "); build with GANMM_ONEDNN=OFF to do without the library"));
  }
}

// A plan of the process-wide cache. Plans are never changed, and a shared pointer keeps one alive
// while it is used, so lanes may look up and run at once.
std::shared_ptr<const Plan> plan_for(const ConvCase& which) {
  struct Entry {
    ConvCase which;
    std::shared_ptr<const Plan> plan;
  };
  constexpr std::size_t kMostPlans = 256;  // far above any network; bounds odd callers
  static std::mutex mutex;
  static std::vector<Entry> entries;
  const std::scoped_lock lock(mutex);
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&which](const Entry& entry) { return entry.which == which; });
  if (found != entries.end()) return found->plan;
  if (entries.size() >= kMostPlans) entries.clear();
  auto plan = guarded(which, [&] { return std::make_shared<const Plan>(make_plan(which)); });
  entries.push_back({which, plan});
  return plan;
}

memory wrap(const memory::desc& description, const float* data) {
  return {description, engine(), const_cast<float*>(data)};  // the library's inputs lack const
}

// Bytes a piece of scratch needs for a description, as a count of floats.
Index floats(const memory::desc& description) {
  return static_cast<Index>((description.get_size() + sizeof(float) - 1) / sizeof(float));
}

// The pieces of scratch that every run needs.
struct Pieces {
  Pieces(Scratch& scratch, const Plan& plan)
      : frame(scratch), scratchpad(frame.take<float>(floats(plan.scratchpad))),
        filter(frame.take<float>(floats(plan.filter))) {}
  Scratch::Frame frame;
  float* scratchpad;
  float* filter;
};

// The filter as the primitive wants it.
memory arranged(const Plan& plan, const float* filter, const Pieces& pieces,
                const dnnl::stream& stream) {
  const memory own = wrap(plan.own_filter, filter);
  if (plan.same_filter()) return own;
  memory result = wrap(plan.filter, pieces.filter);
  plan.reorder.execute(stream, {{DNNL_ARG_FROM, own}, {DNNL_ARG_TO, result}});
  return result;
}

}  // namespace

bool conv_available(ConvOp op, Index batch, const ConvGeometry& geometry) {
  return plan_for(case_of(op, batch, geometry))->available;
}

Index conv_workspace(ConvOp op, Index batch, const ConvGeometry& geometry) {
  const auto plan = plan_for(case_of(op, batch, geometry));
  if (!plan->available) return 0;
  return aligned_bytes<float>(floats(plan->scratchpad)) +
         aligned_bytes<float>(floats(plan->filter));
}

void conv_forward(Scratch& scratch, float* y, const float* x, const float* filter, Index batch,
                  const ConvGeometry& geometry, const ItemDone& item_done) {
  const ConvCase which = case_of(ConvOp::forward, batch, geometry);
  const auto plan = plan_for(which);
  guarded(which, [&] {
    const Pieces pieces(scratch, *plan);
    dnnl::stream stream(engine());
    memory source = wrap(plan->source, x);
    memory target = wrap(plan->target, y);
    const Arguments arguments{{DNNL_ARG_SRC, source},
                              {DNNL_ARG_WEIGHTS, arranged(*plan, filter, pieces, stream)},
                              {DNNL_ARG_DST, target},
                              {DNNL_ARG_SCRATCHPAD, wrap(plan->scratchpad, pieces.scratchpad)}};
    for (Index b = 0; b < batch; ++b) {
      source.set_data_handle(const_cast<float*>(x + b * geometry.input().count()));
      target.set_data_handle(y + b * geometry.output().count());
      plan->primitive.execute(stream, arguments);
      stream.wait();
      item_done(b);
    }
  });
}

void conv_backward_data(Scratch& scratch, float* d_x, const float* d_y, const float* filter,
                        Index batch, const ConvGeometry& geometry, const ItemDone& item_done) {
  const ConvCase which = case_of(ConvOp::backward_data, batch, geometry);
  const auto plan = plan_for(which);
  guarded(which, [&] {
    const Pieces pieces(scratch, *plan);
    dnnl::stream stream(engine());
    memory source = wrap(plan->source, d_x);
    memory target = wrap(plan->target, d_y);
    const Arguments arguments{{DNNL_ARG_DIFF_SRC, source},
                              {DNNL_ARG_WEIGHTS, arranged(*plan, filter, pieces, stream)},
                              {DNNL_ARG_DIFF_DST, target},
                              {DNNL_ARG_SCRATCHPAD, wrap(plan->scratchpad, pieces.scratchpad)}};
    for (Index first = 0; first < batch; first += which.batch) {
      source.set_data_handle(d_x + first * geometry.input().count());
      target.set_data_handle(const_cast<float*>(d_y + first * geometry.output().count()));
      plan->primitive.execute(stream, arguments);
      stream.wait();
      for (Index b = first; b < first + which.batch; ++b) item_done(b);
    }
  });
}

void conv_backward_weights(Scratch& scratch, float* d_filter, const float* x, const float* d_y,
                           Index batch, const ConvGeometry& geometry, Write write) {
  const ConvCase which = case_of(ConvOp::backward_weights, batch, geometry);
  const auto plan = plan_for(which);
  guarded(which, [&] {
    const Pieces pieces(scratch, *plan);
    dnnl::stream stream(engine());
    const memory arranged_filter = wrap(plan->filter, pieces.filter);
    plan->primitive.execute(stream,
                            {{DNNL_ARG_SRC, wrap(plan->source, x)},
                             {DNNL_ARG_DIFF_DST, wrap(plan->target, d_y)},
                             {DNNL_ARG_DIFF_WEIGHTS, arranged_filter},
                             {DNNL_ARG_SCRATCHPAD, wrap(plan->scratchpad, pieces.scratchpad)}});
    const dnnl::primitive& out = write == Write::accumulate ? plan->reorder_add : plan->reorder;
    out.execute(stream, {{DNNL_ARG_FROM, arranged_filter},
                         {DNNL_ARG_TO, wrap(plan->own_filter, d_filter)}});
    stream.wait();
  });
}

}  // namespace ganmm::kernels::cpu::onednn
