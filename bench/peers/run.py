#!/usr/bin/env python3
"""Times every peer and ganmm at one iteration of all pairs; see README.md.

One process per peer and thread count; first its gradients against float64, then the clock.
"""

import argparse
import json
import os
import pickle
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
NETS = ("mlp", "mlp19", "mlp10", "conv16", "conv64")
PEERS = (
    *("torch-loop", "torch-vmap", "torch-batched", "torch-by-hand"),
    *("torch-compile-vmap", "torch-compile-batched", "torch-compile-whole"),
    *("torch-graph-batched", "torch-graph-compile", "torch-graph-by-hand", "torch-graph-streams"),
    *("jax-scan", "jax-step", "jax-patches"),
)
CHECKED_PAIRS = 2
WARM_UP, BLOCKS, FEW_BLOCKS = 50, 10, 3


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--ganmm", help="the ganmm program; without it only peers are timed")
    parser.add_argument("--json", help="record to write")
    parser.add_argument("--markdown", help="table to write; always printed")
    parser.add_argument("--net", nargs="+", choices=(*NETS, "all"), default=["mlp"])
    parser.add_argument("--n", nargs="+", type=int, default=[10], help="pairs")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--seconds", type=float, default=5.0, help="per measurement, at least")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--math", choices=("fp32", "tf32", "bf16"), default="fp32")
    parser.add_argument("--limit", type=float, default=900, help="seconds for one row of a peer")
    parser.add_argument("--check-only", action="store_true", help="gradients alone")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if "all" in args.net:
        args.net = list(NETS)
    return args


# ---- worker: one peer, one thread count, all rows ----


def set_environment(threads, device):
    """Before numpy, torch or jax are loaded. Affinity is what bounds XLA's thread pool."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ["JAX_PLATFORMS"] = "cpu" if device == "cpu" else "cuda,cpu"
    if device == "cpu":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def work(task):
    """Prints one JSON line per row."""
    set_environment(task["threads"], task["device"])
    sys.path.insert(0, str(HERE))
    from nets import NETS as BUILT, make_problem

    try:
        module = __import__("jax_peers" if task["peer"].startswith("jax") else "torch_peers")
    except ImportError as error:
        return [emit(task, net, n, state="missing", why=str(error)) for net, n in task["rows"]]
    if module.__name__ == "torch_peers":
        module.torch.set_num_threads(task["threads"])
    _, devices, nets, _ = module.PEERS[task["peer"]]
    present = task["device"] in devices and task["device"] in module.devices()
    checked = {}
    for net, n in task["rows"]:
        if not present or (nets and net not in nets):
            continue
        try:
            if net not in checked:
                checked[net] = check(module, task, BUILT[net])
            row = dict(checked[net])
            if row["state"] == "right" and n and not task["check_only"]:
                row.update(measure(module, task, make_problem(BUILT[net], n)))
        except Exception as error:  # one peer's failure must not end the run
            row = {"state": "failed", "why": f"{type(error).__name__}: {error}"[:500]}
        emit(task, net, n, **row)


def emit(task, net, n, **row):
    head = {"peer": task["peer"], "key": net, "clusters": n, "threads": task["threads"]}
    print(json.dumps({**head, **row}), flush=True)


def check(module, task, net):
    """In fp32 whatever is timed: the penalty magnifies the rounding of tf32 and bf16 a lot."""
    from nets import make_problem
    from reference import TOLERANCE, worst_error

    problem = make_problem(net, CHECKED_PAIRS)
    with open(task["references"][net.name], "rb") as file:
        expected = pickle.load(file)
    peer = module.make(task["peer"], problem, task["device"], "fp32", 0.0)
    peer.first()
    peer.synchronize()
    errors = [worst_error(m, e) for m, e in zip(peer.moments(), expected)]
    right = all(error <= TOLERANCE for error, _ in errors)
    return {
        "state": "right" if right else "wrong",
        "generator_error": errors[0][0],
        "critic_error": errors[1][0],
        "worst_tensor": max(errors)[1],
    }


def measure(module, task, problem):
    start = time.perf_counter()
    peer = module.make(task["peer"], problem, task["device"], task["math"])
    peer.prepare()
    peer.synchronize()
    compile_seconds = time.perf_counter() - start
    unit = getattr(peer, "unit", 1)

    def timed(count):
        peer.synchronize()
        start = time.perf_counter()
        peer.iterate(count)
        peer.synchronize()
        return (time.perf_counter() - start) / count

    once = timed(unit)
    done, start = unit, time.perf_counter()
    while done < WARM_UP and time.perf_counter() - start < task["seconds"]:
        once = timed(unit)
        done += unit
    count = max(int(task["seconds"] / BLOCKS / once), 1)
    count = -(-count // unit) * unit
    # Where one block takes longer than the whole measurement should, ten take too long.
    number = BLOCKS if count * once <= task["seconds"] else FEW_BLOCKS
    blocks = [1e3 * timed(count) for _ in range(number)]
    middle = statistics.median(blocks)
    host = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "ms": middle,
        "spread": (max(blocks) - min(blocks)) / middle,
        "blocks_ms": blocks,
        "iterations_per_block": count,
        "compile_seconds": compile_seconds,
        "memory_bytes": peer.memory_bytes(),
        "host_bytes": host,
    }


# ---- the run ----


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def ask(code):
    """Output of a python program, or None: libraries are not loaded into this process."""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 else None


def environment(args):
    commit = subprocess.run(
        ["git", "-C", str(HERE), "describe", "--always", "--dirty"], capture_output=True, text=True
    ).stdout.strip()
    result = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit,
        "backend": args.device,
        "cpu": processor(),
        "threads": args.threads,
        "math": args.math,
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "torch": ask("import torch; print(torch.__version__)"),
        "jax": ask("import jax; print(jax.__version__)"),
        "numpy": ask("import numpy; print(numpy.__version__)"),
    }
    if args.device == "cuda":
        result["gpu"] = ask("import torch; print(torch.cuda.get_device_name())")
    return result


def run_ours(args, when):
    """Rows of ganmm bench: the whole list of pairs for each net."""
    rows = []
    for net in args.net:
        name = benchmark_name(net)
        for asked in (name, "mlp" if net.startswith("mlp") else "conv"):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "bench.json"
                command = [args.ganmm, "bench", "--backend", args.device, "--net", asked]
                command += ["--clusters", *map(str, args.n), "--seconds", str(args.seconds)]
                command += ["--math", args.math, "--json", str(path)]
                if args.device == "cpu":
                    command += ["--threads", str(args.threads)]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode == 0:
                    found = json.loads(path.read_text())["results"]
                    rows += [
                        {**row, "peer": "ganmm", "key": net, "when": when}
                        for row in found
                        if row["net"] == name
                    ]
                    break
        else:
            print(f"ganmm bench failed: {done.stderr.strip()}", file=sys.stderr)
    for row in rows:
        print(f"  ganmm {row['net']} N={row['clusters']}: {row['ms']:.4g} ms", flush=True)
    return rows


def benchmark_name(key):
    sizes = {"mlp": "mlp 64-64-6", "mlp19": "mlp 64-64-19", "mlp10": "mlp 64-32-10"}
    return sizes.get(key, f"conv {key[4:]}")


def make_references(args, folder):
    sys.path.insert(0, str(HERE))
    from nets import NETS as BUILT, make_problem
    from reference import check_self, first_moments

    check_self()
    files = {}
    for net in args.net:
        path = Path(folder) / f"{net}.reference"
        path.write_bytes(pickle.dumps(first_moments(make_problem(BUILT[net], CHECKED_PAIRS))))
        files[BUILT[net].name] = str(path)
    return files


def run_peer(args, peer, threads, references):
    rows = [(net, n) for net in args.net for n in ([0] if args.check_only else args.n)]
    found = []
    while rows:
        task = {
            "peer": peer,
            "threads": threads,
            "device": args.device,
            "math": args.math,
            "seconds": args.seconds,
            "rows": rows,
            "references": references,
            "check_only": args.check_only,
        }
        command = [sys.executable, __file__, "--worker", json.dumps(task)]
        limit = args.limit * len(rows)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
            output, why = done.stdout, done.stderr.strip()[-300:] if done.returncode else ""
        except subprocess.TimeoutExpired as error:
            output, why = (error.stdout or b"").decode(), f"no result in {limit:.0f} s"
        lines = [line for line in output.splitlines() if line.startswith("{")]
        found += [json.loads(line) for line in lines]
        if not why:
            break
        # The row that ended the process is lost, and so are those before it that did not apply.
        seen = {(row["key"], row["clusters"]) for row in found}
        lost = next((i for i, row in enumerate(rows) if tuple(row) not in seen), len(rows) - 1)
        net, n = rows[lost]
        head = {"peer": peer, "key": net, "clusters": n, "threads": threads}
        found.append({**head, "state": "failed", "why": why})
        rows = [row for row in rows[lost + 1 :] if tuple(row) not in seen]
    for row in found:
        row["net"] = benchmark_name(row["key"])
        errors = [row.get("generator_error"), row.get("critic_error")]
        text = "" if None in errors else "errors {:.1e} {:.1e} ".format(*errors)
        text += f"{row['ms']:.4g} ms" if "ms" in row else row.get("why", "")
        n = f" N={row['clusters']}" if row["clusters"] else ""
        print(f"  {peer} ({threads} threads) {row['net']}{n}: {row['state']} {text}", flush=True)
    return found


def best(rows, net, n, peer):
    """The faster thread count of a peer; of ours the mean of before and after."""
    fit = [r for r in rows if (r["net"], r["clusters"], r["peer"]) == (net, n, peer) and "ms" in r]
    if not fit:
        return None
    if peer == "ganmm":
        times = [r["ms"] for r in fit]
        return {**fit[0], "ms": statistics.mean(times), "drift": max(times) / min(times) - 1}
    return min(fit, key=lambda r: r["ms"])


def table(record):
    rows = record["results"]
    lines = [
        "| net | N | program | ms per iteration | spread | threads | compile s | over ganmm |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    drifts = []
    for net, n in dict.fromkeys((r["net"], r["clusters"]) for r in rows):
        ours = best(rows, net, n, "ganmm")
        for peer in ("ganmm", *PEERS):
            states = [r for r in rows if (r["net"], r["clusters"], r["peer"]) == (net, n, peer)]
            row = best(rows, net, n, peer)
            if row is None and states:
                lines.append(f"| {net} | {n} | {peer} | {states[0]['state']} | | | | |")
            if row is None:
                continue
            ratio = f"{row['ms'] / ours['ms']:.2f}" if ours else ""
            if row.get("drift", 0) > 0.1:
                drifts.append(f"{net} N={n} by {100 * row['drift']:.0f} %")
            seconds = f"{row['compile_seconds']:.1f}" if "compile_seconds" in row else ""
            threads = row.get("threads", record["environment"]["threads"])
            lines.append(
                f"| {net} | {n} | {peer} | {row['ms']:.4g} | {100 * row['spread']:.0f} % "
                f"| {threads} | {seconds} | {ratio} |"
            )
    if drifts:
        lines += ["", "Not a quiet machine: ganmm before and after differ, " + ", ".join(drifts)]
    return "\n".join(lines)


def main():
    args = parse()
    if args.worker:
        return work(json.loads(args.worker))
    if args.math != "fp32" and args.device == "cpu" and args.ganmm:
        sys.exit("ganmm trains in fp32 on the CPU")
    record = {"what": "peers", "environment": environment(args), "results": []}
    rows = record["results"]

    def save():  # after every peer: what was measured survives a time limit
        if args.json:
            Path(args.json).write_text(json.dumps(record, indent=1) + "\n")

    ours = args.ganmm and not args.check_only
    counts = [args.threads]
    if args.device == "cpu" and args.threads > 1 and not args.check_only:
        counts = [1, args.threads]
    with tempfile.TemporaryDirectory() as folder:
        references = make_references(args, folder)
        if ours:
            rows += run_ours(args, "before")
        for peer in args.peers:
            for threads in counts:
                rows += run_peer(args, peer, threads, references)
            save()
        if ours:
            rows += run_ours(args, "after")
    save()
    if not args.check_only:
        text = table(record)
        print(text)
        if args.markdown:
            Path(args.markdown).write_text(text + "\n")
    bad = [r for r in rows if r.get("state") in ("wrong", "failed")]
    if not any(r.get("state") == "right" for r in rows):
        sys.exit("no peer ran")
    sys.exit(1 if bad and args.check_only else 0)


if __name__ == "__main__":
    main()
