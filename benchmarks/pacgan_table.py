"""What `benchmarks.pacgan` has measured, next to PacGAN's Table 1: as a table, and as curves over the steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from ganvas import media

MANY = 100_000  # samples of the last measurement, in addition to the paper's 2,500
# Table 1: modes, high-quality samples in percent, reverse KL; each with its standard error over ten trials.
PUBLISHED = {
    ("ring", 1): ("6.3 ± 0.5", "98.2 ± 0.2", "0.45 ± 0.09"),
    ("ring", 2): ("7.9 ± 0.1", "95.6 ± 2.0", "0.07 ± 0.03"),
    ("ring", 3): ("7.8 ± 0.1", "97.7 ± 0.3", "0.10 ± 0.02"),
    ("ring", 4): ("7.8 ± 0.1", "95.9 ± 1.4", "0.07 ± 0.02"),
    ("grid", 1): ("17.3 ± 0.8", "94.8 ± 0.7", "0.70 ± 0.07"),
    ("grid", 2): ("23.8 ± 0.7", "91.3 ± 0.8", "0.13 ± 0.04"),
    ("grid", 3): ("24.6 ± 0.4", "94.2 ± 0.4", "0.06 ± 0.02"),
    ("grid", 4): ("24.8 ± 0.2", "93.6 ± 0.6", "0.04 ± 0.01"),
}


def mean_error(values: Sequence[float], digits: int) -> str:
    """'6.3 ± 0.5': the mean and its standard error; only the value where there is one."""
    mean = f"{fmean(values):.{digits}f}"
    return f"{mean} ± {stdev(values) / math.sqrt(len(values)):.{digits}f}" if len(values) > 1 else mean


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Ours next to the published figures, at the last measurement."""
    lines = [
        "| data | | steps | trials | modes | published | high quality, % | published | reverse KL | published "
        f"| reverse KL of {MANY:,} |",
        "|" + "---|" * 11,
    ]
    for name, pack in sorted({(row["data"], row["pack"]) for row in rows}, key=lambda key: (key[0] != "ring", key)):
        mine = [row for row in rows if (row["data"], row["pack"]) == (name, pack)]
        step = max(row["step"] for row in mine)
        last = [row for row in mine if row["step"] == step]
        ours = [
            mean_error([row[key] for row in last], d) for key, d in (("modes", 1), ("quality", 1), ("reverse_kl", 2))
        ]
        pairs = [cell for pair in zip(ours, PUBLISHED[name, pack], strict=True) for cell in pair]
        many = [row[f"reverse_kl_{MANY}"] for row in last if f"reverse_kl_{MANY}" in row]
        cells = [name, title(pack), f"{step:,}", str(len(last)), *pairs, mean_error(many, 3) if many else ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def picture(rows: Sequence[dict[str, Any]]) -> Image.Image:
    """Modes and reverse KL over the steps, one line per packing, its trials faint; dotted: published, at the end."""
    sets = sorted({row["data"] for row in rows}, reverse=True)
    figure = Figure(figsize=(4.6 * len(sets), 5.2), dpi=100, layout="constrained")
    panels = figure.subplots(2, len(sets), sharex="col", squeeze=False)
    for column, name in enumerate(sets):
        for axes, key, position in zip(panels[:, column], ("modes", "reverse_kl"), (0, 2), strict=True):
            for pack in sorted({row["pack"] for row in rows if row["data"] == name}):
                mine = [row for row in rows if (row["data"], row["pack"]) == (name, pack)]
                steps, colour = sorted({row["step"] for row in mine}), f"C{pack - 1}"
                for trial in sorted({row["trial"] for row in mine}):
                    axes.plot(steps, [row[key] for row in mine if row["trial"] == trial], c=colour, lw=0.7, alpha=0.35)
                means = [fmean(row[key] for row in mine if row["step"] == step) for step in steps]
                axes.plot(steps, means, c=colour, lw=2, label=title(pack))
                axes.axhline(float(PUBLISHED[name, pack][position].split()[0]), c=colour, lw=1, ls=":")
            axes.set_title(f"{name}: {key.replace('_kl', ' KL')}", fontsize=10)
            axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
            axes.grid(color="#e4e7eb", lw=0.7)
        panels[0, column].legend(fontsize=8, loc="lower right")
        panels[1, column].set_xlabel("steps")
    return media.rendered(figure)


def title(pack: int) -> str:
    """What the paper calls a packing."""
    return f"PacGAN{pack}" if pack > 1 else "GAN"
