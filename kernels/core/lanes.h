// Concurrency over groups. A lane is one independent line of work: on the CPU a thread with its
// own Context, on a GPU the one stream that takes all groups at once.
//
// `for_each` hands task numbers to lanes. A task must write only what belongs to it; then results
// do not depend on how many lanes there are, because every task computes the same thing wherever
// it runs.
#pragma once

#include "kernels/core/context.h"

#include <functional>
#include <memory>
#include <vector>

namespace ganmm {

class Lanes {
 public:
  // threads: number of CPU lanes, 1 to 4096, or 0 for as many as the machine has. One lane on CUDA.
  Lanes(Device device, MathMode math, int threads, ConvPath conv_path = ConvPath::automatic);
  ~Lanes();

  int count() const { return static_cast<int>(contexts_.size()); }
  Device device() const { return contexts_.front()->device(); }
  Context& context(int lane) { return *contexts_[static_cast<std::size_t>(lane)]; }

  // Calls body(lane, task) once for every task in [0, tasks), concurrently over lanes. The first
  // exception thrown by a task is rethrown here after all lanes have stopped.
  void for_each(Index tasks, const std::function<void(int lane, Index task)>& body);

  void plan_scratch();     // opens every lane's scratch for announcements
  void reserve_scratch();  // after planning, in every lane
  Index scratch_bytes() const;

 private:
  class Team;

  std::vector<std::unique_ptr<Context>> contexts_;
  std::unique_ptr<Team> team_;
};

// Threads this machine offers to this process (at least 1).
int hardware_threads();

}  // namespace ganmm
