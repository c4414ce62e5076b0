// A shared library that is loaded when it is first asked for: a program starts without it, and what
// does not need it runs without it. The build needs its headers alone.
//
// The dynamic linker finds it by name, by its usual rules: LD_LIBRARY_PATH, the run path of the
// program, the system's cache.
#pragma once

#include "kernels/core/error.h"

#include <dlfcn.h>

#include <string>
#include <type_traits>

namespace ganmm::kernels::cuda {

class DynamicLibrary {
 public:
  // Loads it for the rest of the process' life. `advice`: what to do where it is missing.
  DynamicLibrary(const char* name, std::string advice) : name_(name), advice_(std::move(advice)) {
    handle_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (handle_ == nullptr) refuse(message(name_, " cannot be loaded: "));
  }

  template <class Function>
  void find(Function& function, const char* symbol) {
    if (handle_ == nullptr) return;
    void* address = dlsym(handle_, symbol);
    if (address == nullptr) refuse(message(name_, " lacks a function: "));
    function = reinterpret_cast<Function>(address);
  }

  // Why it cannot be used and what to do; empty when it can.
  const std::string& missing() const { return missing_; }

 private:
  void refuse(const std::string& what) {
    const char* reason = dlerror();
    if (!missing_.empty()) return;
    missing_ =
        message(what, reason == nullptr ? "the dynamic linker gives no reason" : reason, advice_);
  }

  std::string name_, advice_;
  void* handle_ = nullptr;
  std::string missing_;
};

}  // namespace ganmm::kernels::cuda
