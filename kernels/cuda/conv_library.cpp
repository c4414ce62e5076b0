// Grouped convolutions by cuDNN: one convolution of one network per group, on up to eight streams
// that fork from the context's stream and join it again (branches, where a graph is recorded).
// cuDNN's own grouped convolution would interleave the groups' channels and has fewer engines.
//
// Filters are copied to cuDNN's layout first, or from it last: about 20 microseconds for the
// largest of ten networks. Bias and activation are a pass of their own over the output. With
// bfloat16 the output is rounded before they are applied, and a weight gradient is rounded to
// bfloat16 before it enters the single precision gradient, since no engine of cuDNN 9 writes it
// otherwise: 2^-9 of every weight's gradient.
//
// Plans are made when memory is planned, for the batch that is announced there and images that lie
// as closely as their size lets them. A batch or an alignment that was not announced is planned
// when it is first met, within the workspace announced, which takes host time and is refused while
// a graph is recorded. An op that cuDNN has no admissible engine for is computed by im2col from its
// announcement on.
#include "kernels/core/error.h"
#include "kernels/cuda/bias_activation.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/context_cuda.h"
#include "kernels/cuda/conv_paths.h"
#include "kernels/cuda/cudnn_graph.h"
#include "kernels/cuda/cudnn_library.h"
#include "kernels/cuda/transposed_copy.h"

#include <algorithm>
#include <cstdint>
#include <list>
#include <vector>

namespace ganmm::kernels::cuda {

namespace {

// As many as a device has hardware queues by default (CUDA_DEVICE_MAX_CONNECTIONS).
constexpr Index kLanes = 8;
// Of one lane. The fp32 engines copy images to another layout: 12 MiB for 150 of the largest.
constexpr Index kWorkspaceLimit = Index{64} << 20;

struct DestroyCudnn {
  void operator()(cudnnContext* handle) const noexcept {
    GANMM_CHECK_CUDNN_NOEXCEPT(find_cudnn().cudnnDestroy(handle));
  }
};
struct DestroyEvent {
  void operator()(cudaEvent_t event) const noexcept {
    GANMM_CHECK_CUDA_NOEXCEPT(cudaEventDestroy(event));
  }
};
using Event = std::unique_ptr<CUevent_st, DestroyEvent>;

Event make_untimed_event() {
  cudaEvent_t event = nullptr;
  GANMM_CHECK_CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  return Event(event);
}

// A stream with a handle that is bound to it. The first lane is the context's own stream.
struct Lane {
  std::unique_ptr<CUstream_st, DestroyStream> owned;
  cudaStream_t stream = nullptr;
  std::unique_ptr<cudnnContext, DestroyCudnn> handle;
  Event done;
};

Lane make_lane(cudaStream_t shared) {
  Lane lane;
  lane.stream = shared;
  if (shared == nullptr) {
    GANMM_CHECK_CUDA(cudaStreamCreateWithFlags(&lane.stream, cudaStreamNonBlocking));
    lane.owned.reset(lane.stream);
  }
  cudnnHandle_t handle = nullptr;
  GANMM_CHECK_CUDNN(cudnn().cudnnCreate(&handle));
  lane.handle.reset(handle);
  GANMM_CHECK_CUDNN(cudnn().cudnnSetStream(handle, lane.stream));
  lane.done = make_untimed_event();
  return lane;
}

// What was said about one op of one layer while memory was planned.
struct Announcement {
  ConvOp op = ConvOp::forward;
  ConvGeometry geometry;
  bool bfloat16 = false;
  Index groups = 0, batch = 0, workspace_bytes = 0;  // the largest of each
  std::string refusal;                               // why cuDNN does not compute it
};

class ConvLibrary final : public LibraryState {
 public:
  explicit ConvLibrary(const CudaState& state) : state_(state) {}

  void prepare_lanes(Index groups) {
    const DeviceGuard guard(state_.device());
    while (static_cast<Index>(lanes_.size()) < std::min(groups, kLanes)) {
      lanes_.push_back(make_lane(lanes_.empty() ? state_.stream() : nullptr));
    }
    if (fork_ == nullptr) fork_ = make_untimed_event();
  }

  Announcement* find(ConvOp op, const ConvGeometry& geometry, bool bfloat16) {
    const auto found =
        std::find_if(announcements_.begin(), announcements_.end(), [&](const Announcement& known) {
          return known.op == op && known.geometry == geometry && known.bfloat16 == bfloat16;
        });
    return found == announcements_.end() ? nullptr : &*found;
  }

  // Plans for one batch size and remembers what all of them need.
  const Announcement& announce(const ConvPlanKey& key, Index groups) {
    Announcement* known = find(key.op, key.geometry, key.bfloat16);
    if (known == nullptr) {
      known = &announcements_.emplace_back();
      known->op = key.op;
      known->geometry = key.geometry;
      known->bfloat16 = key.bfloat16;
    }
    known->groups = std::max(known->groups, groups);
    known->batch = std::max(known->batch, key.batch);
    if (groups == 0 || key.batch == 0 || !known->refusal.empty()) return *known;
    try {
      prepare_lanes(groups);
      const ConvPlan& made = plan(key, kWorkspaceLimit);
      known->workspace_bytes = std::max(known->workspace_bytes, made.workspace_bytes);
    } catch (const UnsupportedError& error) {
      known->refusal = error.what();
    } catch (const CudnnError& error) {
      known->refusal = error.what();
    }
    return *known;
  }

  const ConvPlan& plan(const ConvPlanKey& key, Index workspace_limit) {
    for (const auto& [known, plan] : plans_) {
      if (known == key) return plan;
    }
    const DeviceGuard guard(state_.device());
    cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
    GANMM_CHECK_CUDA(cudaStreamIsCapturing(state_.stream(), &capture));
    require<UnsupportedError>(capture == cudaStreamCaptureStatusNone,
                              "convolution by cuDNN while a graph is recorded: expected batch ",
                              key.batch, " of input ", to_string(key.geometry.input()),
                              " to be planned before, found it is not; announce it with "
                              "conv_workspace, or run it once before recording");
    ConvPlan made = plan_convolution({lanes_.front().handle.get(), {}}, key, workspace_limit);
    return plans_.emplace_back(key, std::move(made)).second;
  }

  // Runs `work(group, lane)` for all groups, side by side, after what the context's stream has been
  // handed and before what it is handed next.
  template <class F>
  void run(Index groups, F work) {
    const DeviceGuard guard(state_.device());
    const Index used = std::min(groups, static_cast<Index>(lanes_.size()));
    if (used > 1) GANMM_CHECK_CUDA(cudaEventRecord(fork_.get(), state_.stream()));
    for (Index l = 1; l < used; ++l) {
      GANMM_CHECK_CUDA(cudaStreamWaitEvent(lane(l).stream, fork_.get(), 0));
    }
    try {
      for (Index g = 0; g < groups; ++g) work(g, g % used);
    } catch (...) {
      // No lane may still be at work when the caller frees its memory after the context's stream.
      for (Index l = 1; l < used; ++l) {
        GANMM_CHECK_CUDA_NOEXCEPT(cudaEventRecord(lane(l).done.get(), lane(l).stream));
        GANMM_CHECK_CUDA_NOEXCEPT(cudaStreamWaitEvent(state_.stream(), lane(l).done.get(), 0));
      }
      throw;
    }
    for (Index l = 1; l < used; ++l) {
      GANMM_CHECK_CUDA(cudaEventRecord(lane(l).done.get(), lane(l).stream));
      GANMM_CHECK_CUDA(cudaStreamWaitEvent(state_.stream(), lane(l).done.get(), 0));
    }
  }

  const Lane& lane(Index l) const { return lanes_[static_cast<std::size_t>(l)]; }

 private:
  const CudaState& state_;
  std::list<Announcement> announcements_;
  Event fork_;
  std::vector<Lane> lanes_;
  std::list<std::pair<ConvPlanKey, ConvPlan>> plans_;
};

ConvLibrary& library_of(const Context& ctx) {
  CudaState& state = cuda_state(ctx);
  if (state.library() == nullptr) state.library() = std::make_unique<ConvLibrary>(state);
  return static_cast<ConvLibrary&>(*state.library());
}

// The largest power of two up to 16 that divides it.
Index alignment_of(std::uintptr_t bytes) {
  return static_cast<Index>(bytes == 0 ? 16 : std::min<std::uintptr_t>(16, bytes & (~bytes + 1)));
}
template <class T>
Index alignment_of(const Shape& item) {
  return alignment_of(static_cast<std::uintptr_t>(item.count()) * sizeof(T));
}
// What all groups of a view have, for a plan to be shared: as much as the size of an image lets it
// have, or that of an element.
template <class T>
Index alignment_of(const GroupView<T>& view) {
  const Index wanted = alignment_of<T>(view.item);
  const auto start = reinterpret_cast<std::uintptr_t>(view.data);
  const auto step = static_cast<std::uintptr_t>(view.group_stride) * sizeof(T);
  const bool held = std::min(alignment_of(start), alignment_of(step)) >= wanted;
  return held || (view.groups <= 1 && alignment_of(start) >= wanted)
             ? wanted
             : static_cast<Index>(sizeof(T));
}

template <class T>
ConvPlanKey key_of(const Context& ctx, ConvOp op, Index batch, const ConvGeometry& geometry) {
  return {op,
          geometry,
          batch,
          ctx.math(),
          std::is_same_v<T, BFloat16>,
          alignment_of<T>(geometry.input()),
          alignment_of<T>(geometry.output())};
}

// Elements from one filter to the next in cuDNN's layout.
template <class T>
Index filter_stride(const ConvGeometry& geometry) {
  return aligned_bytes<T>(geometry.filter().count()) / static_cast<Index>(sizeof(T));
}

// Our layout [kernel][kernel][in_c][out_c] as rows of out_c, cuDNN's as its transpose.
template <class T>
MatrixView<T> ours(const ParamView<T>& filter) {
  return matrix(filter);
}
template <class T>
MatrixView<T> theirs(T* filters, Index groups, const ConvGeometry& geometry) {
  const Index cols = geometry.filter().count() / geometry.out_c;
  return {filters, groups, geometry.out_c, cols, filter_stride<std::remove_const_t<T>>(geometry),
          cols};
}

// One op of all groups. The images are read or written as the op has it.
template <class T>
void run_groups(Context& ctx, ConvOp op, const GroupView<const T>& in,
                const GroupView<const T>& out, T* filters, const ConvGeometry& geometry) {
  ConvLibrary& library = library_of(ctx);
  const Index groups = std::max(in.groups, out.groups);
  ConvPlanKey key = key_of<T>(ctx, op, in.batch, geometry);
  key.in_alignment = alignment_of(in);
  key.out_alignment = alignment_of(out);
  const Announcement* announced = library.find(op, geometry, key.bfloat16);
  require<ShapeError>(announced != nullptr && announced->groups >= groups,
                      "convolution by cuDNN: expected the workspace of ", groups,
                      " groups to be planned before, found it is not; announce it with "
                      "conv_workspace");
  const ConvPlan& plan = library.plan(key, announced->workspace_bytes);

  Scratch::Frame frame(ctx.scratch());
  const Index piece = aligned_bytes<std::byte>(plan.workspace_bytes);
  auto* workspace = frame.take<std::byte>(std::min(groups, kLanes) * piece);
  library.run(groups, [&](Index g, Index lane) {
    execute(plan, library.lane(lane).handle.get(), in.data + g * in.group_stride,
            out.data + g * out.group_stride, filters + g * filter_stride<T>(geometry),
            piece == 0 ? nullptr : workspace + lane * piece);
  });
}

template <class T>
void apply(Context& ctx, const Epilogue<T>& epilogue, const GroupView<T>& y) {
  if (epilogue.bias.data == nullptr && epilogue.activation.identity()) return;
  const Index channels = y.item.back();
  const Index rows = y.batch * (y.features() / channels);
  bias_activation<T>(ctx, {y.data, y.groups, rows, channels, y.group_stride, channels},
                     epilogue.bias, epilogue.activation);
}

}  // namespace

template <class T>
bool library_supports(MathMode, ConvOp, const ConvGeometry& geometry) {
  return find_cudnn().missing.empty() && expressible(geometry);
}

template <class T>
bool library_refused(const Context& ctx, ConvOp op, const ConvGeometry& geometry) {
  const Announcement* known = library_of(ctx).find(op, geometry, std::is_same_v<T, BFloat16>);
  return known != nullptr && !known->refusal.empty();
}

template <class T>
Index conv_workspace_library(const Context& ctx, ConvOp op, Index groups, Index batch,
                             const ConvGeometry& geometry) {
  const Announcement& known = library_of(ctx).announce(key_of<T>(ctx, op, batch, geometry), groups);
  if (!known.refusal.empty()) {
    return conv_workspace_im2col<T>(ctx, op, known.groups, known.batch, geometry);
  }
  return checked_add(aligned_bytes<T>(checked_multiply(groups, filter_stride<T>(geometry))),
                     std::min(groups, kLanes) * aligned_bytes<std::byte>(known.workspace_bytes));
}

template <class T>
void conv_forward_library(Context& ctx, GroupView<T> y, GroupView<const T> x,
                          ParamView<const T> filter, const ConvGeometry& geometry,
                          const Epilogue<T>& epilogue) {
  Scratch::Frame frame(ctx.scratch());
  T* filters = frame.take<T>(y.groups * filter_stride<T>(geometry));
  transposed_copy<T, T>(ctx, theirs(filters, y.groups, geometry), ours(filter), Write::overwrite);
  run_groups<T>(ctx, ConvOp::forward, x, y, filters, geometry);
  apply(ctx, epilogue, y);
}

template <class T>
void conv_backward_data_library(Context& ctx, GroupView<T> d_x, GroupView<const T> d_y,
                                ParamView<const T> filter, const ConvGeometry& geometry,
                                const Epilogue<T>& epilogue) {
  Scratch::Frame frame(ctx.scratch());
  T* filters = frame.take<T>(d_x.groups * filter_stride<T>(geometry));
  transposed_copy<T, T>(ctx, theirs(filters, d_x.groups, geometry), ours(filter), Write::overwrite);
  run_groups<T>(ctx, ConvOp::backward_data, d_x, d_y, filters, geometry);
  apply(ctx, epilogue, d_x);
}

template <class T>
void conv_backward_weights_library(Context& ctx, ParamView<Master<T>> d_filter,
                                   GroupView<const T> x, GroupView<const T> d_y,
                                   const ConvGeometry& geometry, Write write) {
  Scratch::Frame frame(ctx.scratch());
  T* filters = frame.take<T>(d_filter.groups * filter_stride<T>(geometry));
  run_groups<T>(ctx, ConvOp::backward_weights, x, d_y, filters, geometry);
  const T* gradients = filters;
  transposed_copy<Master<T>, T>(ctx, ours(d_filter), theirs(gradients, d_filter.groups, geometry),
                                write);
}

#define GANMM_INSTANTIATE(T)                                                                       \
  GANMM_INSTANTIATE_CONV_PATH(library, T)                                                          \
  template bool library_refused<T>(const Context&, ConvOp, const ConvGeometry&);
GANMM_INSTANTIATE(float)
GANMM_INSTANTIATE(BFloat16)
#undef GANMM_INSTANTIATE

}  // namespace ganmm::kernels::cuda
