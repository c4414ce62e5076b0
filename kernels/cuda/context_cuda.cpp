#include "kernels/cuda/context_cuda.h"

#include "kernels/core/error.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/cublas_library.h"

namespace ganmm::kernels::cuda {

namespace {

// What cuBLAS asks for on Hopper and later; 4 MiB would do before.
constexpr std::size_t kCublasWorkspaceBytes = std::size_t{32} << 20;

}  // namespace

DeviceGuard::DeviceGuard(int device) : device_(device) {
  GANMM_CHECK_CUDA(cudaGetDevice(&previous_));
  if (previous_ != device_) GANMM_CHECK_CUDA(cudaSetDevice(device_));
}

DeviceGuard::DeviceGuard(int device, std::nothrow_t) noexcept : device_(device), previous_(device) {
  GANMM_CHECK_CUDA_NOEXCEPT(cudaGetDevice(&previous_));
  if (previous_ != device_) GANMM_CHECK_CUDA_NOEXCEPT(cudaSetDevice(device_));
}

DeviceGuard::~DeviceGuard() {
  if (previous_ != device_) GANMM_CHECK_CUDA_NOEXCEPT(cudaSetDevice(previous_));
}

void DestroyStream::operator()(cudaStream_t stream) const noexcept {
  GANMM_CHECK_CUDA_NOEXCEPT(cudaStreamDestroy(stream));
}
void DestroyCublas::operator()(cublasHandle_t handle) const noexcept {
  GANMM_CHECK_CUBLAS_NOEXCEPT(find_cublas().cublasDestroy_v2(handle));
}
void FreeMemory::operator()(void* memory) const noexcept {
  GANMM_CHECK_CUDA_NOEXCEPT(cudaFree(memory));
}

CudaState::CudaState(int device, MathMode math) : device_(device) {
  const DeviceGuard guard(device_);
  GANMM_CHECK_CUDA(
      cudaDeviceGetAttribute(&multiprocessors_, cudaDevAttrMultiProcessorCount, device_));

  // Non-blocking: never ordered with the legacy default stream of an application around us.
  cudaStream_t stream = nullptr;
  GANMM_CHECK_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  stream_.reset(stream);

  const CublasLibrary& library = kernels::cuda::cublas();
  cublasHandle_t cublas = nullptr;
  GANMM_CHECK_CUBLAS(library.cublasCreate_v2(&cublas));
  cublas_.reset(cublas);
  // Setting the stream resets the workspace, hence this order. With a workspace of its own and one
  // stream cuBLAS promises the same bits for the same call, and it allocates nothing in a capture.
  GANMM_CHECK_CUBLAS(library.cublasSetStream_v2(cublas, stream));
  workspace_.reset(allocate({DeviceKind::cuda, device_}, kCublasWorkspaceBytes));
  GANMM_CHECK_CUBLAS(
      library.cublasSetWorkspace_v2(cublas, workspace_.get(), kCublasWorkspaceBytes));
  // The default mode keeps at least the mantissa that was asked for: fp32 stays fp32.
  GANMM_CHECK_CUBLAS(library.cublasSetMathMode(
      cublas, math == MathMode::tf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH));
}

CudaState::~CudaState() {
  const DeviceGuard guard(device_, std::nothrow);
  library_.reset();
  cublas_.reset();
  workspace_.reset();
  stream_.reset();
}

void CudaState::synchronize() { GANMM_CHECK_CUDA(cudaStreamSynchronize(stream())); }

std::unique_ptr<BackendState> make_state(Device device, MathMode math) {
  const CudaStatus found = status();
  require<UnsupportedError>(!found.devices.empty(), "context on ", to_string(device),
                            ": expected a CUDA device, found none: ", found.reason);
  const auto count = static_cast<int>(found.devices.size());
  require<UnsupportedError>(device.index >= 0 && device.index < count, "context on ",
                            to_string(device), ": expected an index below ", count,
                            ", the number of CUDA devices; choose cuda:0");
  const DeviceProperties& chosen = found.devices[static_cast<std::size_t>(device.index)];
  require<UnsupportedError>(
      math == MathMode::fp32 || chosen.compute_major >= 8, "math mode ", to_string(math), " on ",
      to_string(device), ", a ", chosen.name, ": expected compute capability 8.0 or later, found ",
      chosen.compute_major, ".", chosen.compute_minor, "; choose --math fp32");
  return std::make_unique<CudaState>(device.index, math);
}

void* allocate(Device device, std::size_t bytes) {
  const DeviceGuard guard(device.index);
  void* memory = nullptr;
  const cudaError_t error = cudaMalloc(&memory, bytes);
  if (error == cudaErrorMemoryAllocation) {
    throw_out_of_memory(bytes, message("allocation on ", to_string(device)));
  }
  check_cuda(error, "cudaMalloc", __FILE__, __LINE__);
  return memory;
}

std::size_t free_bytes(Device device) {
  const DeviceGuard guard(device.index);
  std::size_t free = 0;
  std::size_t total = 0;
  GANMM_CHECK_CUDA(cudaMemGetInfo(&free, &total));
  return free;
}

void release(Device device, void* memory) noexcept {
  if (memory == nullptr) return;
  const DeviceGuard guard(device.index, std::nothrow);
  FreeMemory{}(memory);
}

namespace {

void copy(BackendState& state, void* target, const void* source, std::size_t bytes,
          cudaMemcpyKind kind) {
  const CudaState& cuda = cuda_state(state);
  const DeviceGuard guard(cuda.device());
  GANMM_CHECK_CUDA(cudaMemcpyAsync(target, source, bytes, kind, cuda.stream()));
}

}  // namespace

// Waits too: whether the runtime has read the source on return depends on the kind of host memory,
// and the caller may change it as soon as this returns.
void copy_to_device(BackendState& state, void* target, const void* source, std::size_t bytes) {
  copy(state, target, source, bytes, cudaMemcpyHostToDevice);
  state.synchronize();
}

void copy_to_host(BackendState& state, void* target, const void* source, std::size_t bytes) {
  copy(state, target, source, bytes, cudaMemcpyDeviceToHost);
  state.synchronize();
}

void copy_on_device(BackendState& state, void* target, const void* source, std::size_t bytes) {
  copy(state, target, source, bytes, cudaMemcpyDeviceToDevice);
}

void clear(BackendState& state, void* target, std::size_t bytes) {
  const CudaState& cuda = cuda_state(state);
  const DeviceGuard guard(cuda.device());
  GANMM_CHECK_CUDA(cudaMemsetAsync(target, 0, bytes, cuda.stream()));
}

void clear_now(Device device, void* target, std::size_t bytes) {
  const DeviceGuard guard(device.index);
  GANMM_CHECK_CUDA(cudaMemset(target, 0, bytes));
  // cudaMemset returns before the device is done, and no other stream waits for this one.
  GANMM_CHECK_CUDA(cudaStreamSynchronize(nullptr));
}

}  // namespace ganmm::kernels::cuda
