// The course of a training as a picture.
#pragma once

#include "kernels/core/shape.h"
#include "tools/history_table.h"

#include <span>
#include <string>

namespace ganmm::tools {

// More clusters than this are not drawn one by one.
inline constexpr std::size_t kMostClustersDrawn = 100;

// A panel per column of the history against the iteration, a line per restart: those of `kept` (all
// when empty) in colour, the others behind them in grey; and a panel of the cluster sizes of the
// first that was kept. Losses that are 0 throughout, which the method does not have, are left out.
// Empty for a history without rows.
std::string history_plot(const HistoryTable& history, std::span<const Index> kept);

}  // namespace ganmm::tools
