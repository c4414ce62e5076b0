#include "ganmm/ganmm_c.h"

#include "ganmm/fit.h"
#include "ganmm/model.h"

#include <algorithm>
#include <cmath>
#include <new>

struct ganmm_model {
  ganmm::Model model;
};

namespace {

using ganmm::ConfigError;
using ganmm::Index;
using ganmm::InputError;
using ganmm::require;

thread_local std::string last_error;

ganmm_status fail(ganmm_status status, const char* what) noexcept {
  try {
    last_error = what;
  } catch (...) {
    last_error.clear();  // no memory for the text: the status alone
  }
  return status;
}

// The status of body(): the one place where exceptions end.
template <class Body>
ganmm_status guarded(const Body& body) noexcept {
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
    return fail(GANMM_OUT_OF_MEMORY, "ganmm: expected enough memory, found none left");
  } catch (const std::exception& error) {
    return fail(GANMM_FAILED, error.what());
  } catch (...) {
    return fail(GANMM_FAILED, "ganmm: expected a result, found an exception of unknown type");
  }
}

void require_pointer(const void* pointer, const char* function, const char* name) {
  require<ConfigError>(pointer != nullptr, function, ": expected ", name, ", found a null pointer");
}

ganmm::Device device_of(const ganmm_place& place) {
  if (place.cuda_device < 0) return {};
  const auto count = static_cast<std::int32_t>(ganmm::cuda_status().devices.size());
  require<ganmm::UnsupportedError>(place.cuda_device < count, "cuda device ", place.cuda_device,
                                   ": expected a number below the ", count,
                                   " devices of this machine; -1 is the CPU");
  return {ganmm::DeviceKind::cuda, place.cuda_device};
}

ganmm::Lanes lanes_of(const ganmm_place& place) {
  return {device_of(place), ganmm::MathMode::fp32, place.threads};
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
  require<ConfigError>(rows >= 1, function, ": expected at least one row, found ", rows);
  const Index count = ganmm::checked_multiply(rows, features);
  const float* end = values + count;
  const float* bad = std::find_if(values, end, [](float x) { return !std::isfinite(x); });
  require<InputError>(bad == end, function, ": expected finite values, found ",
                      bad == end ? 0.0f : *bad, " in row ", (bad - values) / features, ", feature ",
                      (bad - values) % features);
  return {values, end};
}

void put(const ganmm::Prediction& prediction, std::int32_t* assignments, float* posteriors) {
  if (assignments != nullptr) std::ranges::copy(prediction.assignments, assignments);
  if (posteriors != nullptr) std::ranges::copy(prediction.posteriors, posteriors);
}

ganmm::FitOptions fit_options(const ganmm_options& options) {
  require_pointer(options.method, "ganmm_fit", "a method");
  require_pointer(options.scale, "ganmm_fit", "a scale");
  ganmm::FitOptions fit;
  fit.settings = ganmm::Settings::of(ganmm::parse_method(options.method));
  fit.settings.clusters = options.clusters;
  if (options.restarts != 0) fit.settings.restarts = options.restarts;
  if (options.iterations != 0) fit.settings.iterations = options.iterations;
  fit.settings.seed = options.seed;
  fit.scale = ganmm::io::parse_scale(options.scale);
  fit.device = device_of(options.place);
  fit.threads = options.place.threads;
  return fit;
}

}  // namespace

const char* ganmm_last_error(void) { return last_error.c_str(); }

const char* ganmm_version(void) { return GANMM_VERSION; }

void ganmm_options_init(ganmm_options* options) {
  if (options == nullptr) return;
  *options = {};
  options->method = "ganmm";
  options->scale = "auto";
  options->place.cuda_device = -1;
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
    data.values = copied("ganmm_fit", values, rows, data.item.count());
    ganmm::FitCallbacks callbacks;
    if (options->stop != nullptr) {
      callbacks.training.cancelled = [&] { return options->stop(options->context) != 0; };
    }
    ganmm::FitResult result = ganmm::fit(data, fit, callbacks);
    if (summary != nullptr) {
      *summary = {result.training.iterations, result.training.converged ? 1 : 0,
                  result.training.cancelled ? 1 : 0, result.training.seconds,
                  result.prediction.confidence};
    }
    put(result.prediction, assignments, posteriors);
    if (model != nullptr) *model = new ganmm_model{std::move(result.model)};
  });
}

ganmm_status ganmm_predict(const ganmm_model* model, ganmm_place place, const float* values,
                           int64_t rows, int32_t* assignments, float* posteriors) {
  return guarded([&] {
    require_pointer(model, "ganmm_predict", "a model");
    const Index features = model->model.item.count();
    std::vector<float> scaled = copied("ganmm_predict", values, rows, features);
    ganmm::io::apply(model->model.scaling, scaled, features);
    ganmm::Lanes lanes = lanes_of(place);
    put(ganmm::predict(model->model, scaled, rows, lanes), assignments, posteriors);
  });
}

ganmm_status ganmm_sample(const ganmm_model* model, ganmm_place place, int64_t cluster,
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
    *model = new ganmm_model{ganmm::load_model(path)};
  });
}

void ganmm_free(ganmm_model* model) { delete model; }

int64_t ganmm_clusters(const ganmm_model* model) {
  return model == nullptr ? 0 : model->model.clusters();
}

int64_t ganmm_features(const ganmm_model* model) {
  return model == nullptr ? 0 : model->model.item.count();
}
