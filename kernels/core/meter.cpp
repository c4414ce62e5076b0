#include "kernels/core/meter.h"

#include <algorithm>
#include <functional>

namespace ganmm {

void Meter::begin(Context& ctx, const char* op, const OpCost& cost) {
  auto row = std::ranges::find(rows_, op, &Row::op);
  if (row == rows_.end()) {
    rows_.push_back({op, 0, 0, {}, 0, 0, 0});
    row = rows_.end() - 1;
  }
  ++row->calls;
  row->cost.bytes += cost.bytes;
  row->cost.flops += cost.flops;
  row->kernels = 0;
  calls_.push_back({static_cast<std::size_t>(row - rows_.begin()), {}, {}});
  calls_.back().start.record(ctx);
}

void Meter::end(Context& ctx) { calls_.back().stop.record(ctx); }

void Meter::count_kernel(int registers, int local_bytes) {
  if (calls_.empty()) return;
  Row& row = rows_[calls_.back().row];
  ++row.kernels;
  row.registers = std::max(row.registers, registers);
  row.local_bytes = std::max(row.local_bytes, local_bytes);
}

std::vector<Meter::Row> Meter::rows() {
  for (Call& call : calls_) {
    rows_[call.row].milliseconds += call.stop.elapsed_ms_since(call.start);
  }
  calls_.clear();
  std::vector<Row> sorted = rows_;
  std::ranges::sort(sorted, std::greater{}, &Row::milliseconds);
  return sorted;
}

void Meter::clear() {
  rows_.clear();
  calls_.clear();
}

}  // namespace ganmm
