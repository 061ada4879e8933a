"""What is said of a run while it trains, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .budget import TrainingProgress


def line(progress: TrainingProgress) -> str:
    """What a logging step says where there is no bar."""
    return f"step {progress.step:,} ({progress.share:.0%}, {clock(progress.seconds)})  {progress.text}"


def summary(means: Mapping[str, float], speed: float | None, findings: Iterable[str]) -> str:
    """Losses, accuracies and speed: what one line has room for of a logging step."""
    parts = [f"{name.removesuffix('/loss')} {value:.3f}" for name, value in means.items() if name.endswith("/loss")]
    real, fake = means.get("critic/accuracy_real"), means.get("critic/accuracy_fake")
    if real is not None and fake is not None:
        parts.append(f"accuracy {real:.0%} real {fake:.0%} fake")
    parts += [f"{name.replace('/', ' ')} {value:.1%}" for name, value in means.items() if name.endswith("/accuracy")]
    if speed is not None:
        parts.append(f"{speed:,.0f} images/s")
    return "  ".join([*parts, *(f"{kind}!" for kind in findings)])


def clock(seconds: float) -> str:
    """75 -> '1:15'; hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
