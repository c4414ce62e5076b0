#include "tools/environment.h"

#include "kernels/core/device.h"

#include <array>
#include <ctime>
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

std::string name_of(Device device) {
  if (device.kind == DeviceKind::cpu) return cpu_instruction_set();
  return cuda_status().devices.at(static_cast<std::size_t>(device.index)).name;
}

}  // namespace

Json environment_json(const DeviceArguments& arguments) {
  const Device device = arguments.device();
  const std::string commit = build_commit();
  return {{"version", GANMM_VERSION},
          {"commit", commit.empty() ? Json() : Json(commit)},
          {"compiler", GANMM_COMPILER},
          {"build_type", GANMM_BUILD_TYPE},
          {"backend", device.kind == DeviceKind::cpu ? "cpu" : "cuda"},
          {"device", name_of(device)},
          {"math", arguments.math},
          {"threads", arguments.threads == 0 ? hardware_threads() : arguments.threads},
          {"date", now()}};
}

}  // namespace ganmm::tools
