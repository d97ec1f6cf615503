"""A script that one would write without entropy-viz: the same two pictures with matplotlib.

The rival of `entropy-viz plot --with-stats --size 14x7 --dpi 300 FILES -o OUT.png` in run.py. Plain
matplotlib with its default settings; nothing in it is slower, or cleverer, than such scripts usually are. The
curves go without tight_layout(): they fit, and it takes seconds with a million points.

    python3 benches/matplotlib_plot.py FILE... -o OUT.png
"""
import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np


def load(path):
    with open(path) as file:
        history = json.load(file)
    return np.array([row["step"] for row in history]), np.array([row["entropy"] for row in history])


def plot_curves(runs, output):
    fig, ax = plt.subplots(figsize=(14, 7))
    for label, (steps, entropy) in runs.items():
        ax.plot(steps, entropy, label=label)
    ax.set_title("Policy entropy")
    ax.set_xlabel("Step")
    ax.set_ylabel("Entropy (nats)")
    ax.grid(True, alpha=0.3)
    ax.legend()
    fig.savefig(output, dpi=300)
    plt.close(fig)


def plot_stats(runs, output):
    labels = list(runs)
    panels = {"Mean": [], "Max": [], "Min": []}
    for steps, entropy in runs.values():
        panels["Mean"].append((entropy.mean(), ""))
        for name, at in ("Max", entropy.argmax()), ("Min", entropy.argmin()):
            panels[name].append((entropy[at], f"\nstep {steps[at]}"))

    fig, axes = plt.subplots(1, 3, figsize=(14, 7))
    for ax, (name, bars) in zip(axes, panels.items()):
        container = ax.bar(labels, [value for value, _ in bars])
        ax.bar_label(container, [f"{value:.4f}{step}" for value, step in bars])
        ax.margins(y=0.1)
        ax.set_title(f"{name} entropy")
        ax.set_ylabel("Entropy (nats)")
        ax.tick_params(axis="x", rotation=45)
        ax.grid(True, axis="y", alpha=0.3)
    fig.tight_layout()
    fig.savefig(output, dpi=300)
    plt.close(fig)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()

    runs = {path.stem: load(path) for path in args.files}
    plot_curves(runs, args.output)
    plot_stats(runs, args.output.with_stem(args.output.stem + "_stats"))


if __name__ == "__main__":
    main()
