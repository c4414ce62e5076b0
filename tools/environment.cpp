#include "tools/environment.h"

#include "kernels/core/device.h"

#include <array>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

namespace ganmm::tools {
namespace {

using Json = nlohmann::ordered_json;

std::string now() {
  const std::time_t seconds = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

std::string processor() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

}  // namespace

Json environment_json(const DeviceArguments& arguments) {
  const Device device = arguments.device();
  const std::string commit = build_commit();
  Json json{{"date", now()},
            {"version", GANMM_VERSION},
            {"commit", commit.empty() ? Json() : Json(commit)},
            {"compiler", GANMM_COMPILER},
            {"build", GANMM_BUILD_TYPE},
            {"backend", device.kind == DeviceKind::cpu ? "cpu" : "cuda"},
            {"cpu", processor()},
            {"vectors", cpu_instruction_set()},
            {"threads", arguments.threads == 0 ? hardware_threads() : arguments.threads}};
  if (device.kind == DeviceKind::cuda) {
    const CudaStatus cuda = cuda_status();
    const DeviceProperties& found = cuda.devices.at(static_cast<std::size_t>(device.index));
    json["gpu"] = found.name;
    json["multiprocessors"] = found.multiprocessors;
    json["driver"] = cuda.driver_version;
    json["runtime"] = cuda.runtime_version;
    json["cublas"] = cuda.cublas_version;
    json["cudnn"] = cuda.cudnn_version;
  }
  return json;
}

}  // namespace ganmm::tools
