#include "ganmm/hungarian.h"

#include <cstddef>
#include <limits>

namespace ganmm {

std::vector<Index> best_assignment(std::span<const Index> weights, Index rows, Index columns) {
  require<ShapeError>(
      rows >= 1 && columns >= 1 && checked_multiply(rows, columns) == std::ssize(weights),
      "best_assignment: expected rows * columns weights, both at least 1, found ", weights.size(),
      " weights for ", rows, " x ", columns, "; pass the whole row-major table");

  // Workers are the shorter side, so that each of them is given a job.
  const bool transposed = rows > columns;
  const auto workers = static_cast<std::size_t>(transposed ? columns : rows);
  const auto jobs = static_cast<std::size_t>(transposed ? rows : columns);
  const auto cost = [&](std::size_t worker, std::size_t job) {
    return -(transposed ? weights[job * workers + worker] : weights[worker * jobs + job]);
  };

  // Entry 0 of the job arrays is a virtual job: it holds the worker who still has to be placed.
  constexpr Index kInfinity = std::numeric_limits<Index>::max();
  std::vector<Index> worker_potential(workers + 1, 0);
  std::vector<Index> job_potential(jobs + 1, 0);
  std::vector<std::size_t> worker_of(jobs + 1, 0);  // 1-based, 0: the job is free
  std::vector<std::size_t> previous(jobs + 1, 0);
  std::vector<Index> slack(jobs + 1);
  std::vector<char> visited(jobs + 1);

  for (std::size_t worker = 1; worker <= workers; ++worker) {
    slack.assign(jobs + 1, kInfinity);
    visited.assign(jobs + 1, 0);
    worker_of[0] = worker;
    std::size_t job = 0;
    do {
      visited[job] = 1;
      const std::size_t current = worker_of[job];
      Index step = kInfinity;
      std::size_t next = 0;
      for (std::size_t j = 1; j <= jobs; ++j) {
        if (visited[j]) continue;
        const Index reduced =
            cost(current - 1, j - 1) - worker_potential[current] - job_potential[j];
        if (reduced < slack[j]) {
          slack[j] = reduced;
          previous[j] = job;
        }
        if (slack[j] < step) {
          step = slack[j];
          next = j;
        }
      }
      for (std::size_t j = 0; j <= jobs; ++j) {
        if (visited[j]) {
          worker_potential[worker_of[j]] += step;
          job_potential[j] -= step;
        } else if (j > 0) {
          slack[j] -= step;
        }
      }
      job = next;
    } while (worker_of[job] != 0);
    while (job != 0) {
      worker_of[job] = worker_of[previous[job]];
      job = previous[job];
    }
  }

  std::vector<Index> column_of(static_cast<std::size_t>(rows), -1);
  for (std::size_t job = 1; job <= jobs; ++job) {
    if (worker_of[job] == 0) continue;
    const std::size_t row = transposed ? job - 1 : worker_of[job] - 1;
    column_of[row] = static_cast<Index>(transposed ? worker_of[job] - 1 : job - 1);
  }
  return column_of;
}

}  // namespace ganmm
