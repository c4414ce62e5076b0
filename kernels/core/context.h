// Where and how work runs: device, stream and library handles, arithmetic, scratch memory.
//
// A Context is the first argument of every op and belongs to one host thread at a time. Work is
// ordered on its stream; an op takes temporary memory from scratch alone, does not wait for the
// device and leaves no unjoined side stream, unless its header says so. The one exception are
// convolutions by oneDNN on the CPU, which make small host objects (kernels/cpu/onednn.h).
//
// On the CPU an op runs on the calling thread. Concurrency is over groups: the driver hands groups
// to lanes (kernels/core/lanes.h), so results cannot depend on the number of threads.
#pragma once

#include "kernels/core/arena.h"
#include "kernels/core/backend.h"
#include "kernels/core/conv_path.h"
#include "kernels/core/device.h"
#include "kernels/core/math_mode.h"
#include "kernels/core/stream.h"

#include <memory>

namespace ganmm {

class Meter;

class Context {
 public:
  explicit Context(Device device = {}, MathMode math = MathMode::fp32);

  Device device() const { return device_; }
  bool on_cpu() const { return device_.kind == DeviceKind::cpu; }
  MathMode math() const { return math_; }
  Scratch& scratch() { return scratch_; }
  Stream& stream() { return stream_; }
  BackendState& backend() const { return *state_; }  // CUDA only
  Meter* meter() const { return meter_; }            // null: ops are not measured
  void set_meter(Meter* meter) { meter_ = meter; }

  // How convolutions are computed on CUDA; ignored on the CPU. To be set before memory is planned.
  ConvPath conv_path() const { return conv_path_; }
  void set_conv_path(ConvPath path) { conv_path_ = path; }
  // What unfolded windows (ConvPath::im2col) may occupy. Less means more and smaller products, down
  // to one group at a time.
  Index column_budget() const { return column_budget_; }
  void set_column_budget(Index bytes) { column_budget_ = bytes; }

  void synchronize() { stream_.synchronize(); }  // waits until all work handed over is done

  // Byte copies between this context's device and the host. copy_to_host waits for its result.
  void copy_to_device(void* target, const void* source, std::size_t bytes);
  void copy_to_host(void* target, const void* source, std::size_t bytes);
  void copy(void* target, const void* source, std::size_t bytes);  // within the device
  void clear(void* target, std::size_t bytes);                     // sets all bytes to zero

 private:
  Device device_;
  MathMode math_;
  std::unique_ptr<BackendState> state_;
  Stream stream_;
  Scratch scratch_;
  ConvPath conv_path_ = ConvPath::automatic;
  Index column_budget_ = Index{1} << 30;
  Meter* meter_ = nullptr;
};

}  // namespace ganmm
