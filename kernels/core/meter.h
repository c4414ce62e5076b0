// What ops cost: calls, time, and the bytes and floating-point operations that they declare, by op.
// A context with a meter runs slower: every op is timed by itself, and nothing is replayed from a
// graph (kernels/core/graph.h).
#pragma once

#include "kernels/core/shape.h"
#include "kernels/core/stream.h"

#include <string>
#include <vector>

namespace ganmm {

// The least that an op can do: every byte of its inputs read and of its outputs written once, and
// the multiplications and additions of its products (element-wise arithmetic is not counted).
struct OpCost {
  double bytes = 0;
  double flops = 0;
};

class Meter {
 public:
  struct Row {
    std::string op;
    Index calls = 0;
    double milliseconds = 0;
    OpCost cost;
    int kernels = 0;      // launched by hand-written code in the last call
    int registers = 0;    // the largest number per thread among them, and
    int local_bytes = 0;  // of local memory: spills and arrays that did not fit registers
  };

  // Around the work of one op. Ops do not nest.
  void begin(Context& ctx, const char* op, const OpCost& cost);
  void end(Context& ctx);
  void count_kernel(int registers, int local_bytes);  // by launch()

  // Waits for the work and returns the sums so far, the largest time first.
  std::vector<Row> rows();
  void clear();

 private:
  struct Call {
    std::size_t row;
    Event start, stop;
  };
  std::vector<Row> rows_;
  std::vector<Call> calls_;
};

}  // namespace ganmm
