#!/usr/bin/env python3
"""Time until a clustering is good: time_to_quality.py --ganmm PATH [--nmi 0.64] [--seeds 3]

Image Segmentation, all with one run per seed, on the features as the published code scales them:

  ganmm            `ganmm fit`, R restarts side by side, the result it gives
  ganmm, one       R = 1: the first check at which the restart is good (labels say when)
  published        the published algorithm in PyTorch (CPU, eager): clipping, RMSProp, classifier
                   batches of one class, softmax twice, rows by rejection; the first check at which
                   it is good, or that it never was within --limit seconds
  mixture          scikit-learn's full-covariance GaussianMixture, for scale

Checks take no part in the times. NMI is geometric.
"""

import argparse
import csv
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests/data/image-segmentation.csv"
CLUSTERS, BATCH, NOISE, HIDDEN = 7, 50, 64, 64
FOREIGN = ((500, 25), (1000, 10), (2000, 5), (None, 2))  # rows of a batch from other clusters


def load():
    import numpy as np

    table = np.loadtxt(DATA, delimiter=",", skiprows=1)
    x, label = table[:, :-1], table[:, -1].astype(int)
    x = x - x.mean(0)
    largest = np.abs(x).max(0)
    return (x / np.where(largest > 0, largest, 1)).astype("f4"), label


def nmi(label, found):
    from sklearn.metrics import normalized_mutual_info_score

    return normalized_mutual_info_score(label, found, average_method="geometric")


def ganmm(program, threads, seed, restarts, target):
    with tempfile.TemporaryDirectory() as run:
        command = [program, "fit", str(DATA), "--label-column", "last", "-k", str(CLUSTERS)]
        command += ["--scale", "maxabs", "--seed", str(seed), "--threads", str(threads), "--quiet"]
        command += ["--out", run] + (["--restarts", str(restarts)] if restarts else [])
        begin = time.monotonic()
        subprocess.run(command, check=True)
        seconds = time.monotonic() - begin
        result = json.loads((Path(run) / "metrics.json").read_text())["nmi"]
        if not restarts:
            return {"seconds": seconds, "nmi": result, "reached": result >= target}
        with open(Path(run) / "history.csv") as file:
            rows = [row for row in csv.DictReader(file) if row.get("nmi")]
    for row in rows:
        if float(row["nmi"]) >= target:
            return {"seconds": float(row["seconds"]), "nmi": float(row["nmi"]), "reached": True}
    return {"seconds": seconds, "nmi": max(float(row["nmi"]) for row in rows), "reached": False}


def published(x, label, threads, seed, target, limit):
    """Facts of the published code, in shared terms: its tables' nets are dense 64-64."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    data = torch.from_numpy(x)
    rows, features = data.shape

    def net(inputs, outputs):
        return nn.Sequential(nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs))

    def rmsprop(parameters):
        return torch.optim.RMSprop(parameters, lr=5e-5, alpha=0.9, eps=1e-10)

    generators = [net(NOISE, features) for _ in range(CLUSTERS)]
    critics = [net(features, 1) for _ in range(CLUSTERS)]
    classifier = net(features, CLUSTERS)
    generator_steps = [rmsprop(g.parameters()) for g in generators]
    critic_steps = [rmsprop(c.parameters()) for c in critics]
    classifier_step = rmsprop(classifier[0].parameters())  # the read-out is never trained
    stream = torch.randperm(rows)
    position = 0

    def next_rows():
        nonlocal position
        if position + BATCH > rows:
            position = 0
        position += BATCH
        return data[stream[position - BATCH : position]]

    def noise():
        return torch.randn(BATCH, NOISE)

    def step(optimizer, loss):
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def train(cluster, batches, clip):
        step(generator_steps[cluster], -critics[cluster](generators[cluster](noise())).mean())
        for real in batches:
            with torch.no_grad():
                fake = generators[cluster](noise())
            critic = critics[cluster]
            step(critic_steps[cluster], critic(fake).mean() - critic(real).mean())
            if clip:
                with torch.no_grad():
                    for parameter in critic.parameters():
                        parameter.clamp_(-0.01, 0.01)

    def rows_of(cluster, foreign):
        """Batches are read and classified until enough rows of the cluster have turned up."""
        own, seen, chance = [], [], []
        found = 0
        with torch.no_grad():
            while found < BATCH - foreign:
                batch = next_rows()
                posterior = torch.softmax(classifier(batch), 1)
                mine = posterior.argmax(1) == cluster
                if not mine.any():
                    mine[posterior[:, cluster].argmax()] = True
                own.append(batch[mine])
                seen.append(batch[~mine])
                chance.append(posterior[~mine, cluster])
                found += int(mine.sum())
            other, weight = torch.cat(seen), torch.cat(chance)
            foreign = min(foreign, len(other))
            if foreign == 0:
                return torch.cat(own)[:BATCH]
            drawn = torch.multinomial(weight + 1e-12, foreign)
            return torch.cat([torch.cat(own)[: BATCH - foreign], other[drawn]])

    part = rows // CLUSTERS
    parts = [stream[i * part : (i + 1) * part] for i in range(CLUSTERS)]
    spent, begin = 0.0, time.monotonic()
    for _ in range(500):
        for cluster in range(CLUSTERS):
            own = data[parts[cluster]]
            train(cluster, [own[torch.randint(part, (BATCH,))] for _ in range(5)], clip=False)
    iteration, best = 0, 0.0
    while True:
        foreign = next(count for until, count in FOREIGN if until is None or iteration < until)
        for cluster in range(CLUSTERS):
            with torch.no_grad():
                fake = generators[cluster](noise())
            twice = torch.softmax(classifier(fake), 1)
            target_class = torch.full((BATCH,), cluster)
            step(classifier_step, nn.functional.cross_entropy(twice, target_class))
        for cluster in range(CLUSTERS):
            train(cluster, (rows_of(cluster, foreign) for _ in range(5)), clip=True)
        iteration += 1
        if iteration % 100 == 0:
            spent += time.monotonic() - begin
            with torch.no_grad():
                score = nmi(label, classifier(data).argmax(1).numpy())
            best = max(best, score)
            if score >= target or spent >= limit:
                reached = score >= target
                return {"seconds": spent, "nmi": score if reached else best, "reached": reached,
                        "iterations": iteration}
            begin = time.monotonic()


def mixture(x, label, seed, target):
    from sklearn.mixture import GaussianMixture

    begin = time.monotonic()
    found = GaussianMixture(CLUSTERS, reg_covar=1e-3, random_state=seed).fit_predict(x)
    seconds = time.monotonic() - begin
    score = nmi(label, found)
    return {"seconds": seconds, "nmi": score, "reached": score >= target}


def row(name, runs):
    reached = [run for run in runs if run["reached"]]
    seconds = [run["seconds"] for run in runs]
    scores = [run["nmi"] for run in runs]
    spread = f" ± {statistics.stdev(scores):.3f}" if len(scores) > 1 else ""
    return (
        f"| {name} | {statistics.mean(seconds):.3g} ({min(seconds):.3g} to {max(seconds):.3g}) "
        f"| {len(reached)} of {len(runs)} | {statistics.mean(scores):.3f}{spread} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ganmm", default="build/ganmm")
    parser.add_argument("--nmi", type=float, default=0.64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=float, default=300, help="seconds for the published code")
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    args = parser.parse_args()
    x, label = load()
    seeds = range(args.seeds)
    ways = {
        "ganmm, its result": lambda s: ganmm(args.ganmm, args.threads, s, 0, args.nmi),
        "ganmm, one restart": lambda s: ganmm(args.ganmm, args.threads, s, 1, args.nmi),
        "published algorithm, PyTorch": lambda s: published(
            x, label, args.threads, s, args.nmi, args.limit
        ),
        "Gaussian mixture, scikit-learn": lambda s: mixture(x, label, s, args.nmi),
    }
    lines = [f"| to NMI {args.nmi} | seconds, mean (range) | reached | NMI |", "|---|---:|---:|---:|"]
    results = {}
    for name, way in ways.items():
        results[name] = [way(seed) for seed in seeds]
        lines.append(row(name, results[name]))
        print(lines[-1], flush=True)
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=2) + "\n")
    if args.markdown:
        Path(args.markdown).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
