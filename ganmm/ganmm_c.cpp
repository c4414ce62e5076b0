#include "ganmm/ganmm_c.h"

#include "ganmm/fit.h"
#include "ganmm/model.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>

struct ganmm_model {
  ganmm::Model model;
  std::string method;
};

namespace {

using ganmm::ConfigError;
using ganmm::Index;
using ganmm::InputError;
using ganmm::require;

// Plain memory: it is written when there is no other left, and read when a thread ends.
thread_local char last_error[1024] = "";

ganmm_status fail(ganmm_status status, const char* what) noexcept {
  const std::size_t length = std::min(std::strlen(what), sizeof last_error - 1);
  std::memcpy(last_error, what, length);
  last_error[length] = '\0';
  return status;
}

// The status of body(): the one place where exceptions end.
template <class Body>
ganmm_status guarded(const Body& body) noexcept {
  constexpr const char* no_memory = "ganmm: expected enough memory, found too little left";
  try {
    body();
    return GANMM_OK;
  } catch (const ganmm::ConfigError& error) {
    return fail(GANMM_BAD_ARGUMENT, error.what());
  } catch (const ganmm::ShapeError& error) {
    return fail(GANMM_BAD_ARGUMENT, error.what());
  } catch (const ganmm::InputError& error) {
    return fail(GANMM_BAD_INPUT, error.what());
  } catch (const ganmm::IoError& error) {
    return fail(GANMM_IO_FAILED, error.what());
  } catch (const ganmm::UnsupportedError& error) {
    return fail(GANMM_UNSUPPORTED, error.what());
  } catch (const ganmm::DeviceError& error) {
    return fail(GANMM_DEVICE_FAILED, error.what());
  } catch (const ganmm::OutOfMemoryError& error) {
    return fail(GANMM_OUT_OF_MEMORY, error.what());
  } catch (const std::bad_alloc&) {
    return fail(GANMM_OUT_OF_MEMORY, no_memory);
  } catch (const std::length_error&) {  // more than any vector holds
    return fail(GANMM_OUT_OF_MEMORY, no_memory);
  } catch (const std::exception& error) {
    return fail(GANMM_FAILED, error.what());
  } catch (...) {
    return fail(GANMM_FAILED, "ganmm: expected a result, found an exception of unknown type");
  }
}

void require_pointer(const void* pointer, const char* function, const char* name) {
  require<ConfigError>(pointer != nullptr, function, ": expected ", name, ", found a null pointer");
}

ganmm::Device device_of(const char* spelled) {
  const std::string_view name = spelled == nullptr ? "cpu" : spelled;
  if (name == "cpu") return {};
  constexpr std::string_view prefix = "cuda:";
  ganmm::Device device{ganmm::DeviceKind::cuda, -1};
  const auto [end, error] = std::from_chars(name.data() + std::min(prefix.size(), name.size()),
                                            name.data() + name.size(), device.index);
  require<ConfigError>(name.starts_with(prefix) && error == std::errc{} &&
                           end == name.data() + name.size() && device.index >= 0,
                       "device: expected cpu or cuda:NUMBER, found '", name, "'");
  const ganmm::CudaStatus status = ganmm::cuda_status();
  require<ganmm::UnsupportedError>(device.index < std::ssize(status.devices), "device ", name,
                                   ": expected one of ", status.devices.size(),
                                   " CUDA devices, found none of that number",
                                   status.reason.empty() ? "" : ": ", status.reason);
  return device;
}

ganmm::Lanes lanes_of(const ganmm_place* place) {
  if (place == nullptr) return {ganmm::Device{}, ganmm::MathMode::fp32, 0};
  return {device_of(place->device), ganmm::MathMode::fp32, place->threads};
}

ganmm::Shape shape_of(const std::int64_t* item, std::int32_t rank) {
  require_pointer(item, "ganmm_fit", "the shape of a row");
  require<ConfigError>(rank == 1 || rank == 3,
                       "ganmm_fit: expected rank 1, {features}, or 3, {height, width, channels}, "
                       "found ",
                       rank);
  for (std::int32_t axis = 0; axis < rank; ++axis) {
    require<ConfigError>(item[axis] >= 1, "ganmm_fit: expected a shape of positive sizes, found ",
                         item[axis], " for axis ", axis);
  }
  return rank == 1 ? ganmm::Shape{item[0]} : ganmm::Shape{item[0], item[1], item[2]};
}

// The rows as a vector of their own, which scaling may change.
std::vector<float> copied(const char* function, const float* values, Index rows, Index features) {
  require_pointer(values, function, "values");
  require<ConfigError>(rows >= 1 && rows <= ganmm::kMaxRows, function, ": expected 1 to ",
                       ganmm::kMaxRows, " rows, found ", rows);
  const Index count = ganmm::checked_multiply(rows, features);
  static_cast<void>(ganmm::checked_multiply(count, sizeof(float)));
  const float* end = values + count;
  const float* bad = std::find_if(values, end, [](float x) { return !std::isfinite(x); });
  if (bad != end) {
    throw InputError(ganmm::message(function, ": expected finite values, found ", *bad, " in row ",
                                    (bad - values) / features + 1, ", feature ",
                                    (bad - values) % features + 1, " (counted from 1)"));
  }
  return {values, end};
}

// Takes posteriors in the order of the rows into [rows][clusters], or nowhere: then they are not
// kept either.
ganmm::PosteriorSink sink_of(std::vector<float>& kept, bool wanted) {
  return [&kept, wanted](std::span<const float> values) {
    if (wanted) kept.insert(kept.end(), values.begin(), values.end());
  };
}

// The outputs of a call that has succeeded; nothing here can fail.
void put(const std::vector<std::int32_t>& from, std::int32_t* assignments,
         const std::vector<float>& kept, float* posteriors) noexcept {
  if (assignments != nullptr) std::ranges::copy(from, assignments);
  if (posteriors != nullptr) std::ranges::copy(kept, posteriors);
}

std::unique_ptr<ganmm_model> wrapped(ganmm::Model model) {
  std::string method = to_string(model.settings.method);
  return std::make_unique<ganmm_model>(ganmm_model{std::move(model), std::move(method)});
}

ganmm::FitOptions fit_options(const ganmm_options& options) {
  require_pointer(options.method, "ganmm_fit", "a method");
  require_pointer(options.scale, "ganmm_fit", "a scale");
  require<ConfigError>(std::ranges::all_of(options.reserved, [](auto value) { return value == 0; }),
                       "ganmm_fit: expected zeros in options.reserved, found other values; call "
                       "ganmm_options_init first");
  ganmm::FitOptions fit;
  fit.settings = ganmm::Settings::of(ganmm::parse_method(options.method));
  fit.settings.clusters = options.clusters;
  if (options.restarts != 0) fit.settings.restarts = options.restarts;
  if (options.iterations != 0) fit.settings.iterations = options.iterations;
  fit.settings.seed = options.seed;
  fit.scale = ganmm::io::parse_scale(options.scale);
  fit.device = device_of(options.place.device);
  fit.threads = options.place.threads;
  return fit;
}

}  // namespace

const char* ganmm_last_error(void) { return last_error; }

const char* ganmm_version(void) { return GANMM_VERSION; }

void ganmm_options_init(ganmm_options* options) {
  if (options == nullptr) return;
  *options = {};
  options->method = "ganmm";
  options->scale = "auto";
}

ganmm_status ganmm_fit(const ganmm_options* options, const float* values, int64_t rows,
                       const int64_t* item, int32_t rank, ganmm_model** model, int32_t* assignments,
                       float* posteriors, ganmm_summary* summary) {
  return guarded([&] {
    require_pointer(options, "ganmm_fit", "options");
    const ganmm::FitOptions fit = fit_options(*options);
    ganmm::io::Dataset data;
    data.rows = rows;
    data.item = shape_of(item, rank);
    static_cast<void>(fit.settings.resolved(rows, data.item));  // refuses before rows are copied
    data.values = copied("ganmm_fit", values, rows, data.item.count());
    bool stopped = false;  // what has been asked for once holds for all that follows
    ganmm::FitCallbacks callbacks;
    if (options->stop != nullptr) {
      callbacks.training.cancelled = [&] {
        return stopped = stopped || options->stop(options->context) != 0;
      };
    }
    std::vector<float> kept;
    callbacks.posteriors = sink_of(kept, posteriors != nullptr);
    ganmm::FitResult result = ganmm::fit(data, fit, callbacks);
    auto made = model == nullptr ? nullptr : wrapped(std::move(result.model));
    put(result.prediction.assignments, assignments, kept, posteriors);
    if (summary != nullptr) {
      *summary = {result.training.iterations, result.training.converged ? 1 : 0, stopped ? 1 : 0,
                  result.training.seconds,    result.prediction.confidence,      {}};
    }
    if (model != nullptr) *model = made.release();
  });
}

ganmm_status ganmm_predict(const ganmm_model* model, const ganmm_place* place, const float* values,
                           int64_t rows, int32_t* assignments, float* posteriors) {
  return guarded([&] {
    require_pointer(model, "ganmm_predict", "a model");
    const Index features = model->model.item.count();
    std::vector<float> scaled = copied("ganmm_predict", values, rows, features);
    ganmm::io::apply(model->model.scaling, scaled, features);
    ganmm::Lanes lanes = lanes_of(place);
    std::vector<float> kept;
    const ganmm::Prediction prediction =
        ganmm::predict(model->model, scaled, rows, lanes, sink_of(kept, posteriors != nullptr));
    put(prediction.assignments, assignments, kept, posteriors);
  });
}

ganmm_status ganmm_sample(const ganmm_model* model, const ganmm_place* place, int64_t cluster,
                          int64_t count, uint64_t seed, float* samples) {
  return guarded([&] {
    require_pointer(model, "ganmm_sample", "a model");
    require_pointer(samples, "ganmm_sample", "memory for the samples");
    ganmm::Lanes lanes = lanes_of(place);
    std::ranges::copy(ganmm::sample(model->model, cluster, count, seed, lanes), samples);
  });
}

ganmm_status ganmm_save(const ganmm_model* model, const char* path) {
  return guarded([&] {
    require_pointer(model, "ganmm_save", "a model");
    require_pointer(path, "ganmm_save", "a path");
    ganmm::save_model(model->model, path);
  });
}

ganmm_status ganmm_load(const char* path, ganmm_model** model) {
  return guarded([&] {
    require_pointer(path, "ganmm_load", "a path");
    require_pointer(model, "ganmm_load", "a place for the model");
    *model = wrapped(ganmm::load_model(path)).release();
  });
}

void ganmm_free(ganmm_model* model) { delete model; }

const char* ganmm_method(const ganmm_model* model) {
  return model == nullptr ? "" : model->method.c_str();
}

int64_t ganmm_clusters(const ganmm_model* model) {
  return model == nullptr ? 0 : model->model.clusters();
}

int64_t ganmm_features(const ganmm_model* model) {
  return model == nullptr ? 0 : model->model.item.count();
}

int32_t ganmm_item(const ganmm_model* model, int64_t item[3]) {
  if (model == nullptr || item == nullptr) return 0;
  const ganmm::Shape& shape = model->model.item;
  for (int axis = 0; axis < shape.rank(); ++axis) item[axis] = shape[axis];
  return shape.rank();
}
