// Which vector instructions this machine has, and how one source serves several of them.
//
// A loop that gains from wide vectors lives in `<name>.inc` and is compiled once per instruction
// set by three one-line wrappers, each with its own compiler flags:
//
//   <name>_baseline.cpp   the target's default flags; on every architecture
//   <name>_avx2.cpp       -mavx2 -mfma                                      (x86-64)
//   <name>_avx512.cpp     -mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx2 -mfma  (x86-64)
//
// `<name>_double` compiles `<name>.inc` once more, with GANMM_DOUBLE, in double precision.
//
// A wrapper sets GANMM_ISA to its suffix and includes the .inc, which puts everything it exports
// into namespace ganmm::kernels::cpu::GANMM_ISA and everything else into an unnamed namespace. The
// .inc may not include or instantiate inline functions that other files use as well: the linker
// keeps one copy of those, and that copy must not need AVX-512. Off x86-64 only the baseline
// exists; `best_isa` never returns another there.
#pragma once

namespace ganmm::kernels::cpu {

enum class Isa { baseline, avx2, avx512 };

// The widest of the three that the processor and the operating system support; found once.
Isa best_isa();

}  // namespace ganmm::kernels::cpu
