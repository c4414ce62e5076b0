// ganmm info: what this build and this machine have, and what is missing and why.
#include "kernels/core/device.h"
#include "kernels/core/lanes.h"
#include "tools/commands.h"
#include "tools/metrics_json.h"

#include <CLI/CLI.hpp>
#include <array>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>

namespace ganmm::tools {
namespace {

using Json = nlohmann::ordered_json;

struct Feature {
  const char* name;
  bool on;
  const char* option;
  const char* without;  // what it means not to have it
};

constexpr std::array kFeatures{
    Feature{"oneDNN", GANMM_HAVE_ONEDNN, "GANMM_ONEDNN", "CPU convolutions use plain loops"},
    Feature{"zlib", GANMM_HAVE_ZLIB, "GANMM_ZLIB", "gzip-compressed files cannot be read"},
    Feature{"libpng", GANMM_HAVE_PNG, "GANMM_PNG", "no sample images"},
};

const char* compiler() {
#if defined(__clang__)
  return "Clang " __clang_version__;
#elif defined(__GNUC__)
  return "GCC " __VERSION__;
#else
  return "unknown";
#endif
}

Json info_json(const CudaStatus& cuda) {
  Json features;
  for (const Feature& feature : kFeatures) features[feature.name] = feature.on;
  Json devices = Json::array();
  for (const DeviceProperties& device : cuda.devices) {
    devices.push_back({{"name", device.name},
                       {"compute", message(device.compute_major, '.', device.compute_minor)},
                       {"multiprocessors", device.multiprocessors},
                       {"memory_bytes", device.memory_bytes}});
  }
  return {{"version", GANMM_VERSION},
          {"build", {{"compiler", compiler()}, {"type", GANMM_BUILD_TYPE}, {"features", features}}},
          {"cpu", {{"instructions", cpu_instruction_set()}, {"threads", hardware_threads()}}},
          {"cuda",
           {{"built", cuda.built},
            {"devices", devices},
            {"reason", cuda.reason},
            {"runtime", cuda.runtime_version},
            {"driver", cuda.driver_version},
            {"cublas", cuda.cublas_version},
            {"cublas_reason", cuda.cublas_reason},
            {"cudnn", cuda.cudnn_version},
            {"cudnn_reason", cuda.cudnn_reason},
            {"architectures", cuda.architectures}}}};
}

void print_cuda(const CudaStatus& cuda) {
  if (cuda.built) {
    std::cout << "CUDA      runtime " << cuda.runtime_version << ", driver "
              << (cuda.driver_version.empty() ? "none" : cuda.driver_version) << ", cuBLAS "
              << (cuda.cublas_version.empty() ? "none" : cuda.cublas_version) << ", cuDNN "
              << (cuda.cudnn_version.empty() ? "none" : cuda.cudnn_version) << ", architectures "
              << cuda.architectures << '\n';
    if (cuda.cublas_version.empty()) {
      std::cout << "          no cuBLAS: " << cuda.cublas_reason << '\n';
    }
    if (cuda.cudnn_version.empty()) {
      std::cout << "          no cuDNN: " << cuda.cudnn_reason << '\n';
    }
  }
  if (cuda.devices.empty()) {
    std::cout << (cuda.built ? "          no device: " : "CUDA      no device: ") << cuda.reason
              << '\n';
  }
  for (std::size_t i = 0; i < cuda.devices.size(); ++i) {
    const DeviceProperties& device = cuda.devices[i];
    std::cout << "          cuda:" << i << ' ' << device.name << ", compute "
              << device.compute_major << '.' << device.compute_minor << ", "
              << device.multiprocessors << " multiprocessors, " << (device.memory_bytes >> 20)
              << " MiB\n";
  }
}

int run_info(bool json) {
  const CudaStatus cuda = cuda_status();
  if (json) {
    std::cout << to_line(info_json(cuda)) << '\n';
    return 0;
  }
  std::cout << "ganmm     " GANMM_VERSION ", " GANMM_BUILD_TYPE ", " << compiler() << '\n'
            << "CPU       " << cpu_instruction_set() << ", " << hardware_threads() << " threads\n";
  for (const Feature& feature : kFeatures) {
    std::cout << std::left << std::setw(10) << feature.name;
    if (feature.on) {
      std::cout << "on\n";
    } else {
      std::cout << "off: " << feature.without << "; build with -D" << feature.option << "=ON\n";
    }
  }
  print_cuda(cuda);
  return 0;
}

}  // namespace

Command add_info(CLI::App& program) {
  CLI::App* app =
      program.add_subcommand("info", "Build, backends, devices, what is missing and why");
  auto json = std::make_shared<bool>(false);
  app->add_flag("--json", *json, "print the result as one line of JSON");
  return [json] { return run_info(*json); };
}

}  // namespace ganmm::tools
