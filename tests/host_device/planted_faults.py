#!/usr/bin/env python3
"""Shows that the tests of the CUDA kernels bite without a GPU: every fault below, planted into a copy of the sources,
must make a test fail on the host device; the sources as they are must pass the same tests.

  tests/host_device/planted_faults.py [--only NAME] [--build DIR]

Builds in DIR (default build/planted-faults): a few minutes the first time, then one kernel file per fault. Exit code 0
when every fault was caught.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KERNELS = "kernels/cuda/"

# name, file, text (must occur exactly once), its replacement, test cases that see it
FAULTS = [
    ("wrong group offset", "bias_activation.cu", "z += at(bias, group, 0, col);", "z += at(bias, 0, 0, col);", "gemm:*"),
    ("wrong stride", "elements.h", "row += walk.step_rows;", "row += walk.step_rows + 1;", "*elementwise*,*axpby*,*copy*"),
    ("bad reduction tree", "sums.h", "int mask = lanes / 2;", "int mask = lanes / 4;", "reduce*,*row_sums*,*mean*"),
    ("missing barrier", "sums.h",
     "scratch[thread / device::kWarpSize] = value;\n  device::sync_threads();",
     "scratch[thread / device::kWarpSize] = value;", "*mean*,*penalty*"),
    ("unmasked tail", "sums.h", "if (i + j < features) part[j]", "part[j]", "*row_sums*,*squared_norms*,reduce*"),
    ("off-by-one tile edge", "penalty.cu", "first + shape.items_per_block < last ?", "first + shape.items_per_block <= last + 1 ?",
     "*penalty*"),
    ("stale shared memory", "partition.cu",
     "i < kWarps * components; i += kThreads) counts[i] = 0;", "i < 0; i += kThreads) counts[i] = 0;", "*partition*"),
    ("lost order within a warp", "partition.cu", "device::count_bits(same & before)", "device::count_bits(same & ~before) - 1",
     "*partition*"),
    ("search one place too far", "draw.h", "if (sums[first + half] <= target) {", "if (sums[first + half] < target) {", "select:*"),
    ("swapped index map", "conv_im2col.cu",
     "((ho * taps.out_w + wo) * taps.kernel + kh) * taps.kernel + kw;",
     "((ho * taps.out_w + wo) * taps.kernel + kw) * taps.kernel + kh;", "conv*"),
    ("missing barrier of the cluster", "em_step.cu",
     "if (!pretraining) device::sync_cluster();\n\n    if (trains", "if (trains", "em_launch: so*"),
    ("wrong rank in the cluster", "em_step.cu",
     "rank = device::cluster_rank();", "rank = device::block_index_x() % e.components;", "em_launch: so*"),
    ("classified one row too few", "em_step.cu",
     "end = e.pool * (rank + 1) / blocks;", "end = e.pool * (rank + 1) / blocks - 1;", "em_launch: so*"),
    ("edge shared with a neighbour", "optim.cu", "f(quad > start ? quad : start,", "f(quad,", "optim*"),
    ("triangle without its diagonal tile", "gaussian.cu", "depth <= column; depth += kTile", "depth < column; depth += kTile",
     "gaussian*"),
    ("unset triangle", "gaussian.cu", "if (i > j) from = 1 + features + j * features + i;",
     "if (i > j) from = 1 + features + i * features + j;", "gaussian*"),
    ("mean read before it is there", "scores.cu",
     "  device::sync_threads();  // the mean is there, and scratch is free again\n", "", "scores*"),
]


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="the fault of this name")
    parser.add_argument("--build", default=os.path.join(ROOT, "build/planted-faults"))
    arguments = parser.parse_args()
    copy = os.path.join(os.path.abspath(arguments.build), "source")
    build = os.path.join(os.path.abspath(arguments.build), "build")

    files = run(["git", "-C", ROOT, "ls-files"], check=True).stdout.split("\n")
    for name in filter(None, files):
        target = os.path.join(copy, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        source = os.path.join(ROOT, name)
        # An unchanged file keeps its time, so that it is not compiled again.
        if not os.path.exists(target) or open(source, "rb").read() != open(target, "rb").read():
            shutil.copyfile(source, target)

    def compile_tests():
        return run(["cmake", "--build", build, "--target", "ganmm_host_device_tests"])

    def passes(cases):
        result = run([os.path.join(build, "ganmm_host_device_tests"), "--gpu-only", "--test-case=" + cases,
                      "--test-case-exclude=stream:*"], timeout=600)
        counted = re.search(r"test cases:\s+(\d+)", result.stdout)
        return result.returncode == 0, int(counted.group(1)) if counted else 0

    configured = run(["cmake", "-S", copy, "-B", build, "-G", "Ninja", "-DGANMM_CUDA=OFF", "-DCMAKE_BUILD_TYPE=Release",
                      "-DCMAKE_CXX_FLAGS_RELEASE=-O1"])
    if configured.returncode != 0 or compile_tests().returncode != 0:
        sys.exit("planted_faults: the sources do not build:\n" + compile_tests().stdout[-3000:])

    missed = []
    for name, file, old, new, cases in FAULTS:
        if arguments.only not in (None, name):
            continue
        path = os.path.join(copy, KERNELS, file)
        with open(path) as source:
            text = source.read()
        if text.count(old) != 1:
            sys.exit(f"planted_faults: {name}: expected the text once in {file}, found it {text.count(old)} times: {old}")
        good, count = passes(cases)
        if not good or count == 0:
            sys.exit(f"planted_faults: {name}: the unchanged sources must pass {cases}, {count} cases ran")
        with open(path, "w") as source:
            source.write(text.replace(old, new))
        try:
            built = compile_tests()
            if built.returncode != 0:
                sys.exit(f"planted_faults: {name}: the fault does not compile:\n{built.stdout[-2000:]}")
            try:
                caught = not passes(cases)[0]
            except subprocess.TimeoutExpired:
                caught = True
        finally:
            with open(path, "w") as source:
                source.write(text)
        print(f"{'caught' if caught else 'MISSED':<8} {name:<28} {file}", flush=True)
        if not caught:
            missed.append(name)
        compile_tests()
    print(f"{len(missed)} missed" if missed else "every fault was caught")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
