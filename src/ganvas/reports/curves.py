"""The charts of a run's log: which numbers share a chart, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from .. import objectives
from .chart import LARGEST, Curves, Series, thinned

Line = Mapping[str, Any]
PLAIN = ("step", "seconds", "findings")  # of a line, what is not drawn


class Group(NamedTuple):
    """The numbers of one chart."""

    title: str
    names: str  # a regular expression of their names in the log
    note: str = ""
    log: bool = False
    bounds: tuple[float, float] | None = None


LOSSES = Group(
    "Losses",
    ".*/loss",
    "What each network minimises. In a game of two, neither curve says how good the samples are: each depends on the "
    "other network.",
)
GROUPS = (
    LOSSES,
    Group(
        "The critic's accuracy",
        "critic/accuracy_.*",
        "Share of real and of generated items that it judges right. Near 1: it overpowers the generator; 1/2: it "
        "cannot tell them apart.",
        bounds=(0.0, 1.0),
    ),
    Group(
        "Found among the held-out",
        ".*_R@[0-9]+",
        "R@k: share of held-out captions that find their own image among the first k (image), and of images their "
        "caption (text).",
        bounds=(0.0, 1.0),
    ),
    Group(
        "Found within the batch", "clip/accuracy", "Share of images that match their own caption best.", bounds=(0, 1)
    ),
    Group("The inverse temperature", "clip/scale", "The factor of cosines, 100 at most."),
    Group(
        "The bound in nats",
        "(test|held_out)/(reconstruction|kl|bound|importance_bound)",
        "Of held-out images: bound = reconstruction + kl, never below -log p(x); the importance-weighted is tighter.",
    ),
    Group("Reconstruction and KL while training", "vae/(nll|kl)", "In nats per image."),
    Group(
        "Active units",
        ".*/active_units",
        "Units of the latent whose mean varies from image to image. None: the posterior has collapsed.",
    ),
    Group(
        "Signal to noise of reconstructions", ".*/psnr", "In decibels, of held-out images: 20 is rough, 30 is close."
    ),
    Group(
        "Codes in use",
        "codebook/used|.*/codes_used",
        "Share of the codebook that a batch uses, and that all measured held-out images use.",
        bounds=(0.0, 1.0),
    ),
    Group(
        "Perplexity of the codes",
        "(codebook|test|held_out)/perplexity",
        "The number of evenly used codes with the same entropy, for a batch and for held-out images.",
    ),
    Group("Dead codes revived", "codebook/revived", "Codes per step that are moved to outputs of the encoder."),
    Group(
        "Weight of the adversarial loss",
        "autoencoder/adaptive_weight",
        "With it, the adversarial gradient of the decoder's last layer is as large as the reconstruction's.",
        log=True,
    ),
    Group(
        "Gradient norms",
        ".*/grad_norm",
        "Of all weights of a network together. Falling to zero: it has stopped learning; rising without end: it "
        "diverges.",
        log=True,
    ),
    Group(
        "Distance to the data",
        "monitor/distance",
        "Fréchet distance over the data's variance: 0 is perfect, 1 is the distance of the data's mean alone.",
    ),
    Group(
        "Coverage and variety",
        "monitor/(coverage|diversity|entropy)",
        "Coverage: share of real items with a sample among their neighbours. Diversity: distance between samples over "
        "that between real items. Entropy: how evenly samples fall among groups of the data, over how evenly real "
        "items do. Far below 1: collapse.",
    ),
    Group(
        "Copies",
        "monitor/copies",
        "Share of samples less than half as far from a training item as that is from its nearest other.",
    ),
    Group(
        "Where the samples' mean lies",
        "monitor/offset_.*",
        "From the data's mean, in standard deviations along their main axes. If it swings, the generator moves from "
        "mode to mode.",
    ),
    Group("BEGAN's k", "began/k", "The weight of generated items in the critic's loss."),
    Group("BEGAN's M", "began/M", "Its measure of convergence: lower is better."),
    Group("Speed", "images_per_second", "Items a second while training; drawing and saving do not count."),
)


def charts(lines: Sequence[Line], record: Mapping[str, Any]) -> list[Curves]:
    """Every number of the log on a chart: those of GROUPS together, each other one alone."""
    lines = [{name: v for name, v in line.items() if name in PLAIN or abs(v) < LARGEST} for line in lines]
    names = [name for name in dict.fromkeys(name for line in lines for name in line) if name not in PLAIN]
    grouped = [(group, [name for name in names if re.fullmatch(group.names, name)]) for group in GROUPS]
    known = {name for _, members in grouped for name in members}
    grouped += [(Group(name, name), [name]) for name in names if name not in known]
    return [
        chart(group, [series(lines, name) for name in members], undecided(record, members) if group is LOSSES else ())
        for group, members in grouped
        if members
    ]


def chart(group: Group, curves: Sequence[Series], levels: tuple[tuple[str, float], ...]) -> Curves:
    """The chart of a group; a scale is logarithmic only where every value is positive."""
    note = f"{group.note} Dotted: their values when the critic cannot tell." if levels else group.note
    log = group.log and all(value > 1 / LARGEST for curve in curves for _, value in curve.points)
    return Curves(group.title, tuple(curves), note, levels, log, group.bounds)


def series(lines: Sequence[Line], name: str) -> Series:
    """The values that the lines report under a name."""
    return Series(label(name), thinned([(line["step"], line[name]) for line in lines if name in line]))


def label(name: str) -> str:
    """critic/accuracy_real -> real; generator/loss -> generator; monitor/coverage -> coverage."""
    first, _, last = name.partition("/")
    return first if last in ("loss", "grad_norm") else (last or first).removeprefix("accuracy_").replace("_", " ")


def undecided(record: Mapping[str, Any], names: Collection[str]) -> tuple[tuple[str, float], ...]:
    """The losses when the critic cannot tell, of critic and generator, without penalties.

    None for BEGAN, and for families with further losses.
    """
    row = objectives.ADVERSARIAL.get(record["options"].get("objective", ""))
    if row is None or row.energy or not {"critic/loss", "generator/loss"} <= set(names):
        return ()
    logit = torch.full((1,), row.boundary or 0.0)
    critic, generator = (float(loss(logit, logit)) for loss in row.losses)
    if critic == generator:
        return (("both, undecided", critic),)
    return ("critic, undecided", critic), ("generator, undecided", generator)
