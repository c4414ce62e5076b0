#include "tests/host_device/state.h"

#include "kernels/core/error.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <random>
#include <set>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace ganmm::host_device {
namespace {

// Device memory is poisoned for the address sanitizer except while device work runs: host code that
// reads a device pointer is found out.
void set_open([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t bytes,
              [[maybe_unused]] bool open) {
#if defined(__SANITIZE_ADDRESS__)
  open ? __asan_unpoison_memory_region(memory, bytes) : __asan_poison_memory_region(memory, bytes);
#endif
}

std::map<void*, std::size_t>& allocations() {
  static std::map<void*, std::size_t> map;
  return map;
}
int open_depth = 0;

class MemoryOpen {
 public:
  MemoryOpen() {
    if (open_depth++ > 0) return;
    for (const auto& [memory, bytes] : allocations()) set_open(memory, bytes, true);
  }
  ~MemoryOpen() {
    if (--open_depth > 0) return;
    for (const auto& [memory, bytes] : allocations()) set_open(memory, bytes, false);
  }
  MemoryOpen(const MemoryOpen&) = delete;
  MemoryOpen& operator=(const MemoryOpen&) = delete;
};

struct Node {
  std::function<void()> work;
  std::set<std::size_t> after;
};

struct Recording;

class HostState final : public BackendState {
 public:
  explicit HostState(MathMode mode) : math(mode) {}
  void synchronize() override;
  MathMode math;
  // While recording: what the next node of this stream comes after. Empty: the stream is not part
  // of the recording.
  std::set<std::size_t> tail;
  bool joined = false;
};

struct Recording {
  HostState* origin = nullptr;
  std::vector<Node> nodes;
  std::vector<HostState*> streams;
};
Recording* recording = nullptr;

bool is_recorded(const HostState& state) { return recording != nullptr && state.joined; }

void refuse_while_recording(const HostState& state, const char* what) {
  require<CudaError>(!is_recorded(state), what, " while a graph is being recorded");
}

void HostState::synchronize() { refuse_while_recording(*this, "waiting for the device"); }

HostState& host(BackendState& state) { return static_cast<HostState&>(state); }

class HostGraph final : public BackendGraph {
 public:
  std::vector<Node> nodes;
};

class HostEvent final : public BackendEvent {
 public:
  void synchronize() override {}
  std::chrono::steady_clock::time_point time;
  std::set<std::size_t> tail;  // recorded: the nodes that it marks
  const Recording* of = nullptr;
};

std::mt19937_64& order() {
  static std::mt19937_64 random(7);
  return random;
}

}  // namespace

void submit(BackendState& state, std::function<void()> work) {
  HostState& stream = host(state);
  if (is_recorded(stream)) {
    recording->nodes.push_back({std::move(work), stream.tail});
    stream.tail = {recording->nodes.size() - 1};
    return;
  }
  const MemoryOpen open;
  work();
}

MathMode math_of(BackendState& state) { return host(state).math; }

}  // namespace ganmm::host_device

namespace ganmm::kernels::cuda {

using namespace host_device;

CudaStatus status() {
  CudaStatus result;
  result.built = true;
  DeviceProperties device;
  device.name = "host device (kernels as fibres)";
  device.compute_major = 9;
  device.multiprocessors = 1;
  device.memory_bytes = std::size_t{1} << 32;
  result.devices.push_back(device);
  result.runtime_version = result.driver_version = result.cublas_version = "host";
  result.cudnn_reason = "the host device has none";
  result.architectures = "host";
  return result;
}

std::unique_ptr<BackendState> make_state(Device device, MathMode math) {
  require<UnsupportedError>(device.index == 0, "context on ", to_string(device),
                            ": expected an index below 1, the number of CUDA devices; choose "
                            "cuda:0");
  return std::make_unique<HostState>(math);
}

constexpr std::size_t kDeviceBytes = std::size_t{4} << 30;

std::size_t free_bytes(Device) {
  std::size_t used = 0;
  for (const auto& [memory, bytes] : allocations()) used += bytes + 0 * sizeof(memory);
  return kDeviceBytes - used;
}

void* allocate(Device device, std::size_t bytes) {
  const std::size_t free = free_bytes(device);
  require<OutOfMemoryError>(bytes <= free, "device memory: allocation on ", to_string(device), ": ",
                            bytes, " bytes requested, ", free, " of ", kDeviceBytes,
                            " free; use a smaller batch, fewer networks or fewer restarts, or free "
                            "the device of other work");
  auto* memory = ::operator new (bytes, std::align_val_t{256});
  std::memset(memory, 0xff, bytes);
  allocations()[memory] = bytes;
  set_open(memory, bytes, open_depth > 0);
  return memory;
}

void release(Device, void* memory) noexcept {
  if (memory == nullptr) return;
  set_open(memory, allocations()[memory], true);
  allocations().erase(memory);
  ::operator delete (memory, std::align_val_t{256});
}

void copy_to_device(BackendState& state, void* target, const void* source, std::size_t bytes) {
  refuse_while_recording(host(state), "copying from the host");
  const MemoryOpen open;
  std::memcpy(target, source, bytes);
}

void copy_to_host(BackendState& state, void* target, const void* source, std::size_t bytes) {
  refuse_while_recording(host(state), "copying to the host");
  const MemoryOpen open;
  std::memcpy(target, source, bytes);
}

void copy_on_device(BackendState& state, void* target, const void* source, std::size_t bytes) {
  submit(state, [=] { std::memcpy(target, source, bytes); });
}

void clear(BackendState& state, void* target, std::size_t bytes) {
  submit(state, [=] { std::memset(target, 0, bytes); });
}

void clear_now(Device, void* target, std::size_t bytes) {
  const MemoryOpen open;
  std::memset(target, 0, bytes);
}

std::unique_ptr<BackendEvent> make_event(BackendState&) { return std::make_unique<HostEvent>(); }

void record(BackendEvent& event, BackendState& state) {
  auto& mark = static_cast<HostEvent&>(event);
  mark.time = std::chrono::steady_clock::now();
  mark.of = is_recorded(host(state)) ? recording : nullptr;
  mark.tail = host(state).tail;
}

void wait(BackendState& state, BackendEvent& event) {
  const auto& mark = static_cast<HostEvent&>(event);
  if (recording == nullptr || mark.of != recording) return;
  HostState& stream = host(state);
  if (!stream.joined) {  // a side branch begins here
    stream.joined = true;
    stream.tail.clear();
    recording->streams.push_back(&stream);
  }
  stream.tail.insert(mark.tail.begin(), mark.tail.end());
}

double elapsed_ms(BackendEvent& start, BackendEvent& end) {
  return std::chrono::duration<double, std::milli>(static_cast<HostEvent&>(end).time -
                                                   static_cast<HostEvent&>(start).time)
      .count();
}

std::unique_ptr<BackendGraph> record_graph(BackendState& state, const std::function<void()>& work) {
  require<CudaError>(recording == nullptr, "recording a graph while another is being recorded");
  Recording current;
  current.origin = &host(state);
  current.streams = {current.origin};
  current.origin->joined = true;
  current.origin->tail.clear();
  recording = &current;
  const auto end = [&] {
    for (HostState* stream : current.streams) stream->joined = false;
    recording = nullptr;
  };
  try {
    work();
  } catch (...) {
    end();
    throw;
  }
  end();
  // Whatever was forked must have been joined again.
  std::set<std::size_t> reached;
  std::vector<std::size_t> open(current.origin->tail.begin(), current.origin->tail.end());
  while (!open.empty()) {
    const std::size_t node = open.back();
    open.pop_back();
    if (!reached.insert(node).second) continue;
    open.insert(open.end(), current.nodes[node].after.begin(), current.nodes[node].after.end());
  }
  require<CudaError>(reached.size() == current.nodes.size(),
                     "recording a graph: a side stream was forked and not joined again");
  auto graph = std::make_unique<HostGraph>();
  graph->nodes = std::move(current.nodes);
  return graph;
}

void replay(BackendGraph& graph, BackendState& state) {
  refuse_while_recording(host(state), "replaying a graph");
  const MemoryOpen open;
  const auto& nodes = static_cast<HostGraph&>(graph).nodes;
  std::vector<std::size_t> left(nodes.size());
  std::vector<std::vector<std::size_t>> next(nodes.size());
  std::vector<std::size_t> ready;
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    left[n] = nodes[n].after.size();
    for (const std::size_t before : nodes[n].after) next[before].push_back(n);
    if (left[n] == 0) ready.push_back(n);
  }
  while (!ready.empty()) {
    std::swap(ready[order()() % ready.size()], ready.back());
    const std::size_t node = ready.back();
    ready.pop_back();
    nodes[node].work();
    for (const std::size_t n : next[node]) {
      if (--left[n] == 0) ready.push_back(n);
    }
  }
}

std::size_t graph_nodes(BackendGraph& graph) { return static_cast<HostGraph&>(graph).nodes.size(); }

}  // namespace ganmm::kernels::cuda
