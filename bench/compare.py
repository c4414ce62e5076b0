#!/usr/bin/env python3
"""Ratio of two benchmark records, row by row: compare.py OLD.json NEW.json [--force]

Takes records of `ganmm bench --json` and of peers/run.py. Refuses records of different
environments, since their ratio would say nothing about the program.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

SAME = ("backend", "cpu", "vectors", "gpu", "driver", "threads", "math", "build")


def read(path):
    """Environment, and {row name: (ms, spread)}; repeated rows (before, after) are averaged."""
    record = json.loads(Path(path).read_text())
    rows = {}
    for row in record["results"]:
        if "ms" not in row:
            continue
        math = row.get("math", record["environment"].get("math", ""))
        key = [row["net"], row.get("objective", "wgan-gp"), math, f"N={row['clusters']}"]
        if row.get("restarts", 1) != 1:
            key.append(f"R={row['restarts']}")
        if row.get("peer", "ganmm") != "ganmm":
            key += [row["peer"], f"{row['threads']} threads"]
        rows.setdefault(" ".join(key), []).append((row["ms"], row.get("spread", 0.0)))
    merged = {
        key: (statistics.mean(ms for ms, _ in found), max(spread for _, spread in found))
        for key, found in rows.items()
    }
    return record["environment"], merged


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--force", action="store_true", help="compare different environments")
    args = parser.parse_args()
    (old_where, old), (new_where, new) = read(args.old), read(args.new)
    # A peers record and one of ganmm bench do not name all the same things.
    differences = [
        f"{name}: {old_where[name]} and {new_where[name]}"
        for name in SAME
        if name in old_where and name in new_where and old_where[name] != new_where[name]
    ]
    if differences:
        print("different environments: " + "; ".join(differences), file=sys.stderr)
        if not args.force:
            sys.exit(2)
    both = [key for key in old if key in new]
    if not both:
        sys.exit("no row is in both records")
    width = max(map(len, both))
    print(f"{'row':{width}}      old ms      new ms  new/old")
    for key in both:
        (before, spread), (after, new_spread) = old[key], new[key]
        ratio = after / before
        unclear = abs(ratio - 1) <= max(spread, new_spread)
        note = "  within the spread" if unclear else ""
        print(f"{key:{width}} {before:11.4g} {after:11.4g} {ratio:8.3f}{note}")
    for name, only in (("old", old.keys() - new.keys()), ("new", new.keys() - old.keys())):
        if only:
            print(f"only in the {name} record: {', '.join(sorted(only))}")


if __name__ == "__main__":
    main()
