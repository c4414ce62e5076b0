// Per-feature scaling: scaled = (x - offset) * factor.
//
//   standard   centred, divided by the population standard deviation
//   maxabs     centred, divided by the largest absolute value of the centred column, as the GANMM
//              reference code (eyounx/GANMM) scales its tables
//   minmax     to [0, 1]
//   unit       divided by the largest absolute value of the whole set; images of integers within
//              0..255 by 255, so that equal pixels of two files stay equal
//   automatic  maxabs for tables, unit for images
//
// A constant column becomes 0: offset its value, factor 1 (unit has no columns and keeps it).
// Statistics and products are in double, in two passes.
#pragma once

#include "io/dataset.h"

#include <string>
#include <vector>

namespace ganmm::io {

enum class ScaleKind { automatic, none, standard, maxabs, minmax, unit };

// Throws ConfigError that lists the choices: auto, none, standard, maxabs, minmax, unit.
ScaleKind parse_scale(const std::string& name);
std::string to_string(ScaleKind kind);

// What `automatic` stands for with this data; every other kind is itself.
ScaleKind resolve_scale(const Dataset& data, ScaleKind kind);

// One entry per feature, or one entry that holds for all.
struct Scaling {
  std::vector<double> offset;
  std::vector<double> factor;
};

// `kind` as resolve_scale says. Throws InputError when the data has no rows.
Scaling fit_scaling(const Dataset& data, ScaleKind kind);

// values: rows x features, in place. Throws ShapeError when the sizes do not fit each other;
// apply also InputError when a scaled value leaves float, as new data far outside the fitted range
// can do.
void apply(const Scaling& scaling, std::vector<float>& values, Index features);
void invert(const Scaling& scaling, std::vector<float>& values, Index features);

}  // namespace ganmm::io
