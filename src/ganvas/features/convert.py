"""Make the weights of a published network from the file that it was published in.

`python -m ganvas.features.convert NAME FILE...`, where docs/features.md says which file that is, writes
NAME.safetensors into the cache's `weights`, or into the folder given with --out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ..errors import RequestError, WorkError, unknown, writing
from ..files import cache_directory
from ..frozen.foreign import Tensors, read
from ..frozen.published import Options, write
from . import clip, dino, inception, lpips, minilm

CONVERTERS: dict[str, Callable[[Tensors], tuple[Options, Tensors]]] = {
    "inception": inception.convert,
    "lpips": partial(lpips.convert, net="vgg"),
    "lpips-alex": partial(lpips.convert, net="alex"),
    "clip": clip.convert,
    "dino": dino.convert,
    "minilm": minilm.convert,
}


def convert(name: str, sources: Sequence[Path], folder: Path | None = None) -> Path:
    """Write the weights of `name`, of CONVERTERS, from the files that together hold them; gives the file's path.

    Raises RequestError where a source cannot be read or holds something else, WorkError where writing fails.
    """
    if name not in CONVERTERS:
        raise unknown("network", name, CONVERTERS, field="name")
    tensors: Tensors = {}
    for source in sources:
        tensors |= read(source)
    try:
        options, converted = CONVERTERS[name](tensors)
    except (KeyError, ValueError) as error:
        problem = f"{' and '.join(map(str, sources))} is not {name} ({error})"
        raise RequestError(problem, "give the file that docs/features.md describes", field="sources") from error
    target = (folder or cache_directory() / "weights") / f"{name}.safetensors"
    with writing(target):
        write(target, options, converted)
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; gives the exit status: 0 done, 1 failed while working, 2 the request was wrong."""
    parser = argparse.ArgumentParser(prog="python -m ganvas.features.convert", description=__doc__)
    parser.add_argument("name", choices=CONVERTERS, metavar="NAME", help=", ".join(CONVERTERS))
    parser.add_argument("sources", nargs="+", type=Path, metavar="FILE", help="the published file, or files")
    parser.add_argument("--out", type=Path, help="the folder to write into (default: the cache's weights)")
    options = parser.parse_args(arguments)
    try:
        sys.stdout.write(f"{convert(options.name, options.sources, options.out)}\n")
    except (RequestError, WorkError) as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, RequestError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
