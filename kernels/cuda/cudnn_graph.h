// One convolution as a graph of cuDNN, through the backend interface of version 9 (the older
// descriptors have one padding per axis, and TensorFlow's SAME needs two).
//
// Tensors are channels last, [B][H][W][C]; the filter is [out_c][kernel][kernel][in_c], the layout
// that the engines for such tensors are made for. For a filter that is declared by its strides to
// be [kernel][kernel][in_c][out_c] cuDNN 9.19 offers the very same plans, with not a byte more of
// workspace, which makes it doubtful that it looks at them: whoever calls transposes.
//
// No header of cuDNN is needed to read this one.
#pragma once

#include "kernels/conv.h"

#include <memory>
#include <string>

struct cudnnContext;

namespace ganmm::kernels::cuda {

struct DestroyCudnnDescriptor {
  void operator()(void* descriptor) const noexcept;
};
using CudnnDescriptor = std::unique_ptr<void, DestroyCudnnDescriptor>;

// Everything that the answer of cuDNN depends on, beside the device.
struct ConvPlanKey {
  ConvOp op = ConvOp::forward;
  ConvGeometry geometry;
  Index batch = 0;
  MathMode math = MathMode::fp32;
  bool bfloat16 = false;  // how elements are stored; sums are in single precision always
  Index in_alignment = 16, out_alignment = 16;  // bytes, of every image that is passed

  bool operator==(const ConvPlanKey&) const = default;
};

struct ConvPlan {
  CudnnDescriptor plan;
  Index workspace_bytes = 0;
  std::string engine;  // "engine 67, tensor cores"
};

// Whose engines are asked: those of the device of a handle, or of a device that is described by
// cuDNN's JSON, which need not be there. Plans of the latter cannot be executed.
struct ConvPlanTarget {
  cudnnContext* handle = nullptr;
  std::string device_json;
};

// The first engine in cuDNN's own order of merit that
//   gives the same bits in every run,
//   computes in the math mode: products of the stored operands and single precision sums. In fp32
//   no tensor cores, which would round the operands; nowhere Winograd's or Fourier's products,
//   narrower sums or operands converted to a narrower type,
//   is compiled already, and needs no more than `workspace_limit` bytes.
// Host work of some milliseconds; allocates host memory.
// Throws  UnsupportedError (no such engine), CudnnError.
ConvPlan plan_convolution(const ConvPlanTarget& target, const ConvPlanKey& key,
                          Index workspace_limit);

// Runs a plan on the handle's stream. `in` and `out` are the images on the input's and the
// output's side of the convolution; which of the three is written is the op's matter.
// Throws  CudnnError.
void execute(const ConvPlan& plan, cudnnContext* handle, const void* in, const void* out,
             const void* filter, void* workspace);

// Whether geometry and output size can be put to cuDNN, which derives the latter itself.
bool expressible(const ConvGeometry& geometry);

}  // namespace ganmm::kernels::cuda
