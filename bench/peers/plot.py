#!/usr/bin/env python3
"""Time per iteration against the number of pairs: plot.py RECORD.json OUT.png"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from run import PEERS, best


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        import matplotlib
    except ImportError:
        print("no plot: matplotlib is not installed")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    record = json.loads(Path(sys.argv[1]).read_text())
    rows = record["results"]
    nets = list(dict.fromkeys(r["net"] for r in rows))
    figure, axes = pyplot.subplots(1, len(nets), figsize=(5.5 * len(nets), 4.5), squeeze=False)
    for axis, net in zip(axes[0], nets):
        counts = sorted({r["clusters"] for r in rows if r["net"] == net})
        for peer in ("ganmm", *PEERS):
            points = [(n, found["ms"]) for n in counts if (found := best(rows, net, n, peer))]
            if points:
                width = 2.5 if peer == "ganmm" else 1.2
                axis.plot(*zip(*points), marker="o", linewidth=width, label=peer)
        axis.set(xscale="log", yscale="log", title=net, xlabel="pairs", ylabel="ms per iteration")
        axis.set_xticks(counts, [str(n) for n in counts])
        axis.grid(True, which="both", alpha=0.3)
        axis.legend(fontsize=7)
    where = record["environment"]
    figure.suptitle(f"{where.get('gpu') or where['cpu']}, {where['math']}, {where['date'][:10]}")
    figure.tight_layout()
    figure.savefig(sys.argv[2], dpi=120)


if __name__ == "__main__":
    main()
