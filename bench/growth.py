#!/usr/bin/env python3
"""How time and memory grow: growth.py --ganmm PATH [--json FILE] [--markdown FILE] [--quick]

One quantity at a time: components N, restarts R, batch B, hidden units, on random data by
`ganmm bench`; rows n by `ganmm fit` on two Gaussian clouds of 20 features. The exponent is the slope
between neighbouring rows on logarithmic axes: 1 is linear growth.
"""

import argparse
import json
import math
import os
import subprocess
import tempfile
from pathlib import Path

FEATURES = 20
BENCH = {  # option of `ganmm bench`, key of its record, values
    "components N": ("--clusters", "clusters", [1, 2, 5, 10, 20, 40]),
    "restarts R": ("--restarts", "restarts", [1, 2, 4, 8, 16]),
    "batch B": ("--batch", "batch", [25, 50, 100, 200, 400]),
    "hidden units": ("--width", "width", [16, 32, 64, 128, 256]),
}
ROWS = [10_000, 100_000, 1_000_000, 10_000_000]


def bench(ganmm, name, threads, seconds):
    option, key, values = BENCH[name]
    rows = []
    for value in values:
        with tempfile.TemporaryDirectory() as folder:
            record = Path(folder) / "record.json"
            command = [ganmm, "bench", "--net", "mlp 64-64-6", "--threads", str(threads)]
            command += ["--seconds", str(seconds), option, str(value), "--json", str(record)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            result = json.loads(record.read_text())["results"][0]
        assert result[key] == value, (name, result)
        rows.append({"value": value, "ms": result["ms"], "bytes": result["memory_bytes"]})
    return rows


def peak_bytes(command):
    """Largest resident set of the command, from a process of its own."""
    pid = os.fork()
    if pid == 0:
        os.execvp("sh", ["sh", "-c", 'exec "$@" > /dev/null', "sh", *command])
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise SystemExit(f"{command} failed")
    return usage.ru_maxrss * 1024


def write_clouds(path, rows):
    """Two clouds in blocks: no array of all values is ever made."""
    import numpy as np

    random = np.random.default_rng(0)
    out = np.lib.format.open_memmap(path, mode="w+", dtype="<f4", shape=(rows, FEATURES))
    for first in range(0, rows, 100_000):
        block = random.standard_normal((min(100_000, rows - first), FEATURES), dtype="f4")
        block[::2] += 3
        out[first : first + len(block)] = block
    out.flush()


def fits(ganmm, threads, counts, iterations):
    rows = []
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        data, run = str(Path(folder) / "data.npy"), str(Path(folder) / "run")
        # What the program takes before it has any data: libraries and their tables.
        empty = peak_bytes([ganmm, "score", "--help"])
        for count in counts:
            write_clouds(data, count)
            command = [ganmm, "fit", data, "-k", "10", "--restarts", "1", "--out", run, "--quiet"]
            command += ["--threads", str(threads), "--pretrain", str(iterations // 2)]
            command += ["--iterations", str(iterations)]
            peak = peak_bytes(command)
            metrics = json.loads((Path(run) / "metrics.json").read_text())
            values = count * FEATURES * 4
            rows.append(
                {
                    "value": count,
                    "ms": 1e3 * metrics["seconds"],
                    "bytes": peak - empty,
                    "of_data": (peak - empty) / values,
                }
            )
    return rows


def with_exponents(rows):
    for before, row in zip(rows, rows[1:]):
        step = math.log(row["value"] / before["value"])
        row["time_exponent"] = math.log(row["ms"] / before["ms"]) / step
        row["memory_exponent"] = math.log(row["bytes"] / before["bytes"]) / step
    return rows


def table(name, rows, unit):
    lines = [f"| {name} | {unit} | exponent | memory | exponent |", "| ---: " * 5 + "|"]
    for row in rows:
        exponent = f"{row['time_exponent']:.2f}" if "time_exponent" in row else ""
        memory = f"{row['memory_exponent']:.2f}" if "memory_exponent" in row else ""
        of_data = f" ({row['of_data']:.2f} of the data)" if "of_data" in row else ""
        lines.append(
            f"| {row['value']:,} | {row['ms']:.3g} | {exponent} "
            f"| {row['bytes'] / 1e6:.1f} MB{of_data} | {memory} |"
        )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ganmm", default="build/ganmm")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1.0, help="per measurement")
    parser.add_argument("--iterations", type=int, default=200, help="EM iterations of a fit")
    parser.add_argument("--quick", action="store_true", help="without the 10 million rows")
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    args = parser.parse_args()
    results, text = {}, ""
    for name in BENCH:
        results[name] = with_exponents(bench(args.ganmm, name, args.threads, args.seconds))
        text += table(name, results[name], "ms per iteration") + "\n"
        print(table(name, results[name], "ms per iteration"), flush=True)
    counts = ROWS[:-1] if args.quick else ROWS
    results["rows n"] = with_exponents(fits(args.ganmm, args.threads, counts, args.iterations))
    text += table("rows n", results["rows n"], "ms of training")
    print(table("rows n", results["rows n"], "ms of training"))
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=2) + "\n")
    if args.markdown:
        Path(args.markdown).write_text(text)


if __name__ == "__main__":
    main()
