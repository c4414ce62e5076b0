#include "io/scaling.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

namespace ganmm::io {
namespace {

constexpr double kLargest = std::numeric_limits<float>::max();

constexpr std::array<std::pair<const char*, ScaleKind>, 6> kNames = {{
    {"auto", ScaleKind::automatic},
    {"none", ScaleKind::none},
    {"standard", ScaleKind::standard},
    {"maxabs", ScaleKind::maxabs},
    {"minmax", ScaleKind::minmax},
    {"unit", ScaleKind::unit},
}};

// Calls visit(feature, value) in the order of memory.
template <class Visit>
void for_each_value(const Dataset& data, std::size_t features, Visit visit) {
  for (std::size_t start = 0; start < data.values.size(); start += features) {
    for (std::size_t f = 0; f < features; ++f) {
      visit(f, static_cast<double>(data.values[start + f]));
    }
  }
}

struct ColumnStatistics {
  std::vector<double> low, high, mean, deviation;
};

ColumnStatistics measure(const Dataset& data, std::size_t features) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto rows = static_cast<double>(data.rows);
  ColumnStatistics s{std::vector<double>(features, kInfinity),
                     std::vector<double>(features, -kInfinity), std::vector<double>(features),
                     std::vector<double>(features)};
  for_each_value(data, features, [&](std::size_t f, double x) {
    s.low[f] = std::min(s.low[f], x);
    s.high[f] = std::max(s.high[f], x);
    s.mean[f] += x;
  });
  for (double& mean : s.mean) mean /= rows;
  for_each_value(data, features, [&](std::size_t f, double x) {
    s.deviation[f] += (x - s.mean[f]) * (x - s.mean[f]);
  });
  for (double& deviation : s.deviation) deviation = std::sqrt(deviation / rows);
  return s;
}

Scaling fit_columns(const Dataset& data, std::size_t features, ScaleKind kind) {
  const ColumnStatistics s = measure(data, features);
  Scaling scaling{s.mean, std::vector<double>(features, 1.0)};
  for (std::size_t f = 0; f < features; ++f) {
    if (s.low[f] == s.high[f]) {
      scaling.offset[f] = s.low[f];
    } else if (kind == ScaleKind::minmax) {
      scaling.offset[f] = s.low[f];
      scaling.factor[f] = 1 / (s.high[f] - s.low[f]);
    } else if (kind == ScaleKind::standard) {
      scaling.factor[f] = 1 / s.deviation[f];
    } else {
      scaling.factor[f] = 1 / std::max(s.high[f] - s.mean[f], s.mean[f] - s.low[f]);
    }
  }
  return scaling;
}

Scaling fit_unit(const Dataset& data) {
  double largest = 0;
  bool eight_bit = data.item.rank() == 3;
  for (const float value : data.values) {
    largest = std::max(largest, std::abs(static_cast<double>(value)));
    eight_bit = eight_bit && value >= 0 && value <= 255 && value == std::trunc(value);
  }
  if (eight_bit && largest > 1) largest = 255;
  return {{0.0}, {largest > 0 ? 1 / largest : 1.0}};
}

void require_fit(const Scaling& scaling, const std::vector<float>& values, Index features) {
  const auto width = static_cast<std::size_t>(features);
  const std::size_t entries = scaling.factor.size();
  require<ShapeError>(features > 0 && values.size() % width == 0, "scale: expected rows of ",
                      features, " features, found ", values.size(), " values");
  require<ShapeError>(scaling.offset.size() == entries && (entries == 1 || entries == width),
                      "scale: expected 1 or ", features, " offsets and factors, found ",
                      scaling.offset.size(), " and ", entries,
                      "; the data must have the features that the scaling was fitted on");
}

// Replaces every value by change(value, offset, factor).
template <class Change>
void transform(const Scaling& scaling, std::vector<float>& values, Index features, Change change) {
  require_fit(scaling, values, features);
  const std::size_t step = scaling.factor.size() == 1 ? 0 : 1;
  const auto width = static_cast<std::size_t>(features);
  for (std::size_t start = 0; start < values.size(); start += width) {
    for (std::size_t f = 0; f < width; ++f) {
      float& value = values[start + f];
      value = change(static_cast<double>(value), scaling.offset[f * step], scaling.factor[f * step],
                     start + f);
    }
  }
}

}  // namespace

ScaleKind parse_scale(const std::string& name) {
  for (const auto& [known, kind] : kNames) {
    if (name == known) return kind;
  }
  throw ConfigError(
      message("scale: expected auto, none, standard, maxabs, minmax or unit, found '", name, "'"));
}

std::string to_string(ScaleKind kind) {
  const auto found = std::find_if(kNames.begin(), kNames.end(),
                                  [&](const auto& entry) { return entry.second == kind; });
  return found->first;
}

ScaleKind resolve_scale(const Dataset& data, ScaleKind kind) {
  if (kind != ScaleKind::automatic) return kind;
  return data.item.rank() == 3 ? ScaleKind::unit : ScaleKind::maxabs;
}

Scaling fit_scaling(const Dataset& data, ScaleKind kind) {
  const auto features = static_cast<std::size_t>(data.item.count());
  require<InputError>(data.rows > 0 && features > 0, "fit scaling to ", data.source,
                      ": expected rows and features, found none");
  kind = resolve_scale(data, kind);
  if (kind == ScaleKind::none) return {{0.0}, {1.0}};
  if (kind == ScaleKind::unit) return fit_unit(data);
  return fit_columns(data, features, kind);
}

void apply(const Scaling& scaling, std::vector<float>& values, Index features) {
  transform(scaling, values, features,
            [&](double x, double offset, double factor, std::size_t position) {
              const double scaled = (x - offset) * factor;
              require<InputError>(std::abs(scaled) <= kLargest, "scale: row ",
                                  position / static_cast<std::size_t>(features) + 1, ", column ",
                                  position % static_cast<std::size_t>(features) + 1,
                                  " (counted from 1): ", x, " lies too far outside the data that ",
                                  "the scaling was fitted on; remove the row");
              return static_cast<float>(scaled);
            });
}

void invert(const Scaling& scaling, std::vector<float>& values, Index features) {
  transform(scaling, values, features, [](double x, double offset, double factor, std::size_t) {
    // Samples of an untrained network may lie anywhere.
    return static_cast<float>(std::clamp(x / factor + offset, -kLargest, kLargest));
  });
}

}  // namespace ganmm::io
