#!/usr/bin/env python3
"""Time per iteration against the number of pairs, and mixtures per second against how many train side
by side: plot.py RECORD.json OUT.png

To a training step R mixtures of ten are 10 R pairs: a mixture's pairs meet only where rows are
assigned, which no row of these records does.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from run import PEERS, best

MIXTURE = 10


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        import matplotlib
    except ImportError:
        print("no plot: matplotlib is not installed")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    record = json.loads(Path(sys.argv[1]).read_text())
    rows = record["results"]
    nets = list(dict.fromkeys(r["net"] for r in rows))
    figure, axes = pyplot.subplots(2, len(nets), figsize=(5.5 * len(nets), 8), squeeze=False)
    for column, net in enumerate(nets):
        counts = sorted({r["clusters"] for r in rows if r["net"] == net})
        whole = [n for n in counts if n % MIXTURE == 0]
        for peer in ("ganmm", *PEERS):
            ms = {n: found["ms"] for n in counts if (found := best(rows, net, n, peer))}
            style = {"marker": "o", "linewidth": 2.5 if peer == "ganmm" else 1.2, "label": peer}
            if ms:
                axes[0][column].plot(*zip(*ms.items()), **style)
            rate = [(n / MIXTURE, n / MIXTURE / ms[n] * 1000) for n in whole if n in ms]
            if rate:
                axes[1][column].plot(*zip(*rate), **style)
        axes[0][column].set(title=net, xlabel="pairs", ylabel="ms per iteration")
        axes[1][column].set(
            xlabel=f"mixtures of {MIXTURE} side by side", ylabel="iterations of one mixture per second"
        )
        for axis, ticks in zip(axes[:, column], (counts, [n // MIXTURE for n in whole])):
            axis.set(xscale="log", yscale="log")
            axis.set_xticks(ticks, [str(t) for t in ticks])
            axis.xaxis.set_minor_formatter(ticker.NullFormatter())
            axis.grid(True, which="both", alpha=0.3)
        axes[0][column].legend(fontsize=7)
    where = record["environment"]
    figure.suptitle(f"{where.get('gpu') or where['cpu']}, {where['math']}, {where['date'][:10]}")
    figure.tight_layout()
    figure.savefig(sys.argv[2], dpi=120)


if __name__ == "__main__":
    main()
