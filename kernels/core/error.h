// The exception family. Everything the library throws derives from ganmm::Error.
//
// A message has four parts: what was attempted, what was expected, what was found, what to do.
// The library never prints, exits or aborts; the command line maps these types to exit codes
// (ConfigError and InputError: 2, all others: 1).
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace ganmm {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A tensor whose shape, stride or device does not fit the operation.
class ShapeError : public Error {
 public:
  using Error::Error;
};

// A setting out of range, or settings that exclude each other.
class ConfigError : public Error {
 public:
  using Error::Error;
};

// A file of the user's that cannot be used: missing, malformed, truncated, of the wrong type.
class InputError : public Error {
 public:
  using Error::Error;
};

// The operating system refused a write, a rename or a flush.
class IoError : public Error {
 public:
  using Error::Error;
};

// The build or the backend lacks what was asked for; names the option that would bring it.
class UnsupportedError : public Error {
 public:
  using Error::Error;
};

// A device call failed.
class DeviceError : public Error {
 public:
  using Error::Error;
};
class CudaError : public DeviceError {
 public:
  using DeviceError::DeviceError;
};
class CublasError : public DeviceError {
 public:
  using DeviceError::DeviceError;
};
class CudnnError : public DeviceError {
 public:
  using DeviceError::DeviceError;
};

// Says what was requested, what is free, and the largest consumers.
class OutOfMemoryError : public Error {
 public:
  using Error::Error;
};

// message("rows ", 3, " of ", path): every part streamed, nothing formatted twice.
template <class... Parts>
std::string message(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

// require<ShapeError>(condition, parts...) throws with the joined parts when the condition fails.
// The parts are only joined on failure.
template <class E, class... Parts>
void require(bool condition, const Parts&... parts) {
  if (!condition) throw E(message(parts...));
}

}  // namespace ganmm
