#include "kernels/cuda/cudnn_graph.h"

#include "kernels/core/error.h"
#include "kernels/cuda/cudnn_library.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace ganmm::kernels::cuda {

namespace {

// The tensors of a graph, by the numbers under which pointers are passed to it.
enum TensorId : std::int64_t { kIn = 1, kOut = 2, kFilter = 3 };

CudnnDescriptor make(cudnnBackendDescriptorType_t type) {
  cudnnBackendDescriptor_t descriptor = nullptr;
  GANMM_CHECK_CUDNN(cudnn().cudnnBackendCreateDescriptor(type, &descriptor));
  return CudnnDescriptor(descriptor);
}

void set(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name,
         cudnnBackendAttributeType_t type, std::int64_t count, const void* values) {
  GANMM_CHECK_CUDNN(cudnn().cudnnBackendSetAttribute(descriptor.get(), name, type, count, values));
}

void set(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name, std::int64_t value) {
  set(descriptor, name, CUDNN_TYPE_INT64, 1, &value);
}
void set(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name, float value) {
  set(descriptor, name, CUDNN_TYPE_FLOAT, 1, &value);
}
void set(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name,
         cudnnDataType_t value) {
  set(descriptor, name, CUDNN_TYPE_DATA_TYPE, 1, &value);
}
void set(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name,
         const CudnnDescriptor& value) {
  void* raw = value.get();
  set(descriptor, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &raw);
}
template <std::size_t N>
void set(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name,
         const std::array<std::int64_t, N>& values) {
  set(descriptor, name, CUDNN_TYPE_INT64, static_cast<std::int64_t>(N), values.data());
}

void finalize(const CudnnDescriptor& descriptor) {
  GANMM_CHECK_CUDNN(cudnn().cudnnBackendFinalize(descriptor.get()));
}

std::int64_t get(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name) {
  std::int64_t value = 0;
  std::int64_t count = 0;
  GANMM_CHECK_CUDNN(cudnn().cudnnBackendGetAttribute(descriptor.get(), name, CUDNN_TYPE_INT64, 1,
                                                     &count, &value));
  return value;
}

// Kernels that read 16 bytes at a time need memory that begins and goes on accordingly.
CudnnDescriptor make_tensor(TensorId id, cudnnDataType_t type, Index alignment,
                            const std::array<std::int64_t, 4>& sizes) {  // items, channels, h, w
  const auto [items, channels, h, w] = sizes;
  static_cast<void>(items);
  CudnnDescriptor tensor = make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  set(tensor, CUDNN_ATTR_TENSOR_DATA_TYPE, type);
  set(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS, sizes);
  set(tensor, CUDNN_ATTR_TENSOR_STRIDES,
      std::array<std::int64_t, 4>{h * w * channels, 1, w * channels, channels});
  set(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, std::int64_t{id});
  set(tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, std::int64_t{alignment});
  finalize(tensor);
  return tensor;
}

// What must follow the image for the last window to be full.
Index padding_after(Index in, Index out, Index before, const ConvGeometry& geometry) {
  return std::max<Index>(0, (out - 1) * geometry.stride + geometry.kernel - before - in);
}

CudnnDescriptor make_convolution(const ConvGeometry& g) {
  CudnnDescriptor convolution = make(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  using Pair = std::array<std::int64_t, 2>;
  set(convolution, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t{2});
  set(convolution, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  set(convolution, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
  set(convolution, CUDNN_ATTR_CONVOLUTION_DILATIONS, Pair{1, 1});
  set(convolution, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, Pair{g.stride, g.stride});
  set(convolution, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, Pair{g.pad_top, g.pad_left});
  set(convolution, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS,
      Pair{padding_after(g.in_h, g.out_h, g.pad_top, g),
           padding_after(g.in_w, g.out_w, g.pad_left, g)});
  finalize(convolution);
  return convolution;
}

// The attributes of the three operations differ in their names alone.
struct Operation {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t in, out, filter, convolution, alpha, beta;
};

Operation operation_of(ConvOp op) {
  switch (op) {
  case ConvOp::backward_data:
    return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
  case ConvOp::backward_weights:
    return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
  case ConvOp::forward: break;
  }
  return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
}

CudnnDescriptor make_graph(const ConvPlanTarget& target, const ConvPlanKey& key) {
  const ConvGeometry& g = key.geometry;
  const cudnnDataType_t type = key.bfloat16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
  const CudnnDescriptor in =
      make_tensor(kIn, type, key.in_alignment, {key.batch, g.in_c, g.in_h, g.in_w});
  const CudnnDescriptor out =
      make_tensor(kOut, type, key.out_alignment, {key.batch, g.out_c, g.out_h, g.out_w});
  const CudnnDescriptor filter =
      make_tensor(kFilter, type, 16, {g.out_c, g.in_c, g.kernel, g.kernel});
  const CudnnDescriptor convolution = make_convolution(g);

  const Operation names = operation_of(key.op);
  const CudnnDescriptor operation = make(names.type);
  set(operation, names.in, in);
  set(operation, names.out, out);
  set(operation, names.filter, filter);
  set(operation, names.convolution, convolution);
  set(operation, names.alpha, 1.0f);
  set(operation, names.beta, 0.0f);
  finalize(operation);

  CudnnDescriptor graph = make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  set(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, operation);
  if (target.handle != nullptr) {
    set(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &target.handle);
  }
  finalize(graph);
  return graph;
}

// Empty where the device is that of a handle.
CudnnDescriptor make_device(const ConvPlanTarget& target) {
  if (target.handle != nullptr) return {};
#if CUDNN_VERSION >= 90800
  CudnnDescriptor device = make(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  set(device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
      static_cast<std::int64_t>(target.device_json.size()), target.device_json.data());
  finalize(device);
  return device;
#else
  throw UnsupportedError("planning for a device that is not there: needs a build with the headers "
                         "of cuDNN 9.8 or newer");
#endif
}

std::vector<CudnnDescriptor> candidates(const CudnnDescriptor& graph, const CudnnDescriptor& device,
                                        cudnnBackendHeurMode_t mode) {
  const CudnnDescriptor heuristics = make(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  set(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  set(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
#if CUDNN_VERSION >= 90800
  if (device != nullptr) set(heuristics, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, device);
#endif
  finalize(heuristics);
  std::int64_t count = 0;
  GANMM_CHECK_CUDNN(
      cudnn().cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                       CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr));
  std::vector<CudnnDescriptor> configurations;
  std::vector<void*> raw;
  for (std::int64_t i = 0; i < count; ++i) {
    configurations.push_back(make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
    raw.push_back(configurations.back().get());
  }
  GANMM_CHECK_CUDNN(cudnn().cudnnBackendGetAttribute(
      heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
      static_cast<std::int64_t>(raw.size()), &count, raw.data()));
  configurations.resize(static_cast<std::size_t>(count));
  return configurations;
}

struct Engine {
  std::int64_t index = 0;
  std::vector<cudnnBackendNumericalNote_t> numerics;
  std::vector<cudnnBackendBehaviorNote_t> behaviour;

  bool is(cudnnBackendNumericalNote_t note) const {
    return std::find(numerics.begin(), numerics.end(), note) != numerics.end();
  }
};

template <class Note>
std::vector<Note> notes(const CudnnDescriptor& engine, cudnnBackendAttributeName_t name,
                        cudnnBackendAttributeType_t type) {
  std::vector<Note> result(64);  // more than there are kinds of them
  std::int64_t count = 0;
  GANMM_CHECK_CUDNN(cudnn().cudnnBackendGetAttribute(
      engine.get(), name, type, static_cast<std::int64_t>(result.size()), &count, result.data()));
  result.resize(static_cast<std::size_t>(count));
  return result;
}

Engine engine_of(const CudnnDescriptor& configuration) {
  const CudnnDescriptor engine = make(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  void* raw = engine.get();
  std::int64_t count = 0;
  GANMM_CHECK_CUDNN(
      cudnn().cudnnBackendGetAttribute(configuration.get(), CUDNN_ATTR_ENGINECFG_ENGINE,
                                       CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &raw));
  return {get(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX),
          notes<cudnnBackendNumericalNote_t>(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                             CUDNN_TYPE_NUMERICAL_NOTE),
          notes<cudnnBackendBehaviorNote_t>(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE,
                                            CUDNN_TYPE_BEHAVIOR_NOTE)};
}

// Products of bfloat16 are exact; those of single precision may be of rounded operands in tf32
// only.
bool tensor_cores_allowed(const ConvPlanKey& key) {
  return key.bfloat16 || key.math == MathMode::tf32;
}

// A note that is not known here is a reason to say no.
bool admitted(const Engine& engine, const ConvPlanKey& key) {
  for (const cudnnBackendNumericalNote_t note : engine.numerics) {
    const bool harmless = note == CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP ||
                          (note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE && tensor_cores_allowed(key));
    if (!harmless) return false;
  }
  return std::find(engine.behaviour.begin(), engine.behaviour.end(),
                   CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) == engine.behaviour.end();
}

// Empty where cuDNN refuses it after all; `refusal` says why.
CudnnDescriptor make_plan(const ConvPlanTarget& target, const CudnnDescriptor& device,
                          const CudnnDescriptor& configuration, std::string& refusal) {
  CudnnDescriptor plan = make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  set(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
  if (target.handle != nullptr) {
    set(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &target.handle);
  }
#if CUDNN_VERSION >= 90800
  if (device != nullptr) set(plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, device);
#endif
  try {
    finalize(plan);
  } catch (const CudnnError& error) {
    refusal = error.what();
    return {};
  }
  return plan;
}

}  // namespace

void DestroyCudnnDescriptor::operator()(void* descriptor) const noexcept {
  GANMM_CHECK_CUDNN_NOEXCEPT(find_cudnn().cudnnBackendDestroyDescriptor(descriptor));
}

bool expressible(const ConvGeometry& g) {
  const auto derived = [&](Index in, Index out, Index before) {
    return (in + before + padding_after(in, out, before, g) - g.kernel) / g.stride + 1;
  };
  return derived(g.in_h, g.out_h, g.pad_top) == g.out_h &&
         derived(g.in_w, g.out_w, g.pad_left) == g.out_w;
}

ConvPlan plan_convolution(const ConvPlanTarget& target, const ConvPlanKey& key,
                          Index workspace_limit) {
  const CudnnDescriptor graph = make_graph(target, key);
  const CudnnDescriptor device = make_device(target);
  std::string refusal = "it offers no engine; are all of its parts (libcudnn_*.so.9) installed?";
  bool offered = false;
  for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    for (const CudnnDescriptor& configuration : candidates(graph, device, mode)) {
      const Engine engine = engine_of(configuration);
      if (!std::exchange(offered, true)) refusal = "it offers none of the kind";
      if (!admitted(engine, key)) continue;
      CudnnDescriptor plan = make_plan(target, device, configuration, refusal);
      if (plan == nullptr) continue;
      const Index bytes = get(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
      if (bytes > workspace_limit) {
        refusal = message("engine ", engine.index, " needs ", bytes, " bytes of workspace");
        continue;
      }
      return {std::move(plan), bytes,
              message("engine ", engine.index,
                      engine.is(CUDNN_NUMERICAL_NOTE_TENSOR_CORE) ? ", tensor cores" : "")};
    }
  }
  throw UnsupportedError(
      message("planning a convolution with cuDNN: expected a deterministic ",
              to_string(key.bfloat16                ? MathMode::bf16
                        : tensor_cores_allowed(key) ? MathMode::tf32
                                                    : MathMode::fp32),
              " engine with at most ", workspace_limit, " bytes of workspace for input ",
              to_string(key.geometry.input()), ", output ", to_string(key.geometry.output()),
              ", kernel ", key.geometry.kernel, ", stride ", key.geometry.stride, ", batch ",
              key.batch, ", found that ", refusal, "; choose another convolution path"));
}

void execute(const ConvPlan& plan, cudnnContext* handle, const void* in, const void* out,
             const void* filter, void* workspace) {
  const std::array<std::int64_t, 3> ids{kIn, kOut, kFilter};
  const std::array<const void*, 3> pointers{in, out, filter};
  const CudnnDescriptor pack = make(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  set(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids);
  set(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, pointers.data());
  set(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
  finalize(pack);
  GANMM_CHECK_CUDNN(cudnn().cudnnBackendExecute(handle, plan.plan.get(), pack.get()));
}

}  // namespace ganmm::kernels::cuda
