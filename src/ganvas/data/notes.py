"""Sentences about what reading pictures has cut off or left out, each with how to have it otherwise."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from os.path import splitext

from ..sizes import Size, keeping_shape, share_shape
from .decode import SUFFIXES

LEAST, NEARLY = 0.005, 0.05  # shares of a picture that may be cut off without a word, or without a warning

# Pictures that are not decoded, by the kind that people call them.
OTHERS = {
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIC"),
    **dict.fromkeys((".cr2", ".cr3", ".nef", ".dng", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"), "RAW"),
    **dict.fromkeys((".psd", ".psb", ".xcf", ".kra", ".clip"), "layers"),
    **dict.fromkeys((".svg", ".svgz", ".eps", ".ai", ".pdf"), "vectors"),
    **dict.fromkeys(
        (".jxl", ".jp2", ".j2k", ".jpx", ".exr", ".hdr", ".tga", ".dds", ".ico", ".qoi", ".pcx"), "pictures"
    ),
    **dict.fromkeys((".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"), "films"),
}


def cut_share(width: int, height: int, size: Size) -> float:
    """The share of a picture that is cut off where its middle is given the shape of a size."""
    ratio = width / height * size.height / size.width
    return 1 - min(ratio, 1 / ratio)


def cut_off(forms: Sequence[tuple[int, int]], size: Size) -> tuple[str, ...]:
    """What a size cuts off pictures of these (width, height), or what a square would cut off where it keeps all."""
    counts = Counter(forms)
    common, shapes = counts.most_common(1)[0][0], len(counts)
    share, square = (
        sum(n * cut_share(*form, one) for form, n in counts.items()) / len(forms) for one in (size, Size(1, 1))
    )
    what = f"pictures are {common[0]}x{common[1]}" if shapes == 1 else f"pictures have {shapes:,} sizes"
    part = "the middle square is" if size.width == size.height else f"the middle in the shape of {size} is"
    if share < NEARLY and size.width != size.height:
        rest = f", with {share:.0%} of each cut off" if share >= LEAST else ", whole"
        return (f"{what}: they are kept as {size}{rest}; a square would cut off {square:.0%} of each",)
    if share < LEAST:
        return ()
    if shapes == 1 or share_shape(forms, common):
        whole = keeping_shape(Size(*common), round(math.sqrt(size.width * size.height)))
        most = "" if shapes == 1 else f", most nearly in the shape of {common[0]}x{common[1]}"
        return (f"{what}{most}: {part} used and {share:.0%} of each is cut off; give size={whole} to keep them whole",)
    most = f"{share:.0%} of each is cut off on average, and up to {max(cut_share(*form, size) for form in counts):.0%}"
    return (f"{what}: {part} used, {most}; crop them yourself to choose what is kept",)


def enlarged(forms: Sequence[tuple[int, int]], size: Size) -> tuple[str, ...]:
    """How many pictures of these (width, height) have fewer pixels than a size needs."""
    small = sum(width < size.width or height < size.height for width, height in forms)
    if not small:
        return ()
    return (
        f"{small:,} of {len(forms):,} pictures are smaller than {size} and are enlarged; a smaller size trains sooner",
    )


def left_out(files: Sequence[str]) -> tuple[str, ...]:
    """How many files among these are pictures of kinds that are not decoded."""
    others = tuple(OTHERS)
    kinds = Counter(splitext(file)[1].lower() for file in files if file.lower().endswith(others))
    kinds = {suffix: count for suffix, count in kinds.most_common() if suffix not in SUFFIXES}
    if not kinds:
        return ()
    counts = ", ".join(f"{count:,} {suffix}" for suffix, count in kinds.items())
    return (f"left out for their format: {counts}; save them as PNG or JPEG to use them",)
