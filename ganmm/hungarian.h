// The one-to-one assignment of rows to columns with the largest total weight.
#pragma once

#include "kernels/core/shape.h"

#include <span>
#include <vector>

namespace ganmm {

// The column given to every row, or -1 for a row left over when there are more rows than columns.
// min(rows, columns) pairs are made, each column at most once; exact, as all arithmetic is integer.
//
// Shapes: weights [rows][columns], row-major, rows and columns >= 1.
// Ranges: |weight| * min(rows, columns) must stay below 2^62. Negative weights are allowed.
// Cost: O(min(rows, columns)^2 * max(rows, columns)) time, O(rows + columns) memory.
// Throws: ShapeError when the span does not hold rows * columns weights.
// Source: H. W. Kuhn, The Hungarian method for the assignment problem, 1955, as shortest
// augmenting paths with potentials (R. Jonker and A. Volgenant, 1987).
std::vector<Index> best_assignment(std::span<const Index> weights, Index rows, Index columns);

}  // namespace ganmm
