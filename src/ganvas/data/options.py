"""The options with which a data set is opened, and the errors of opening one."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import RequestError
from ..sizes import Size, parse_size

if TYPE_CHECKING:
    from .dataset import Dataset


class DataError(RequestError):
    """The data is at fault: an unknown name, a damaged file."""

    def __init__(self, problem: str, hint: str = "", *, field: str = "data") -> None:
        super().__init__(problem, hint, field=field)


class NoSplit(DataError):
    """The data has no test split."""


@contextmanager
def blaming(problem: str, hint: str = "", kinds: type[Exception] | tuple[type[Exception], ...] = OSError) -> Iterator:
    """Turns these errors of the block into a DataError: the problem, what the error says, and the hint."""
    try:
        yield
    except RequestError:  # says already what is wrong
        raise
    except kinds as error:
        reason = repr(error) if isinstance(error, LookupError | TypeError | AttributeError) else error
        raise DataError(f"{problem}: {getattr(error, 'strerror', None) or reason}", hint) from error


def parse_levels(levels: str) -> tuple[float, float] | None:
    """ "LOW:HIGH" as two numbers; None for "auto" and "full". ValueError for others."""
    if levels in ("auto", "full"):
        return None
    found = re.fullmatch(r"([-+.\deE]+):([-+.\deE]+)", levels.replace(" ", ""))
    low, high = (float(found[1]), float(found[2])) if found else (0.0, 0.0)  # float raises ValueError
    if not (math.isfinite(high - low) and low < high):
        raise ValueError(levels)
    return low, high


class Options(NamedTuple):
    """How a data set is read, and the form that its items should take; None leaves it to the data."""

    size: Size | None = None  # pixels, width and height
    channels: int | None = None  # 1 (grey), 3 (RGB) or 4 (RGB and alpha)
    split: str = "train"  # or "test"
    seed: int = 0
    levels: str = "auto"  # of 16-bit pictures; "auto", "full" or "LOW:HIGH"
    truncated: str = "skip"  # pictures that lack their last bytes; or "keep"
    image: str = ""  # the column of a table that holds pictures; "" finds it
    caption: str = ""  # the column that holds captions; "" finds it

    @classmethod
    def of(cls, options: Mapping[str, Any], seed: int) -> Options:
        """Those among a recipe's options, or a record of them; early records hold fewer."""
        chosen = {name: options[name] for name in ("levels", "truncated", "image", "caption") if name in options}
        if not isinstance(chosen.get("levels", ""), str):  # of diffusion, whose levels are resolutions
            del chosen["levels"]
        return cls(parse_size(options["size"]), options["channels"] or None, seed=seed, **chosen)

    @property
    def key(self) -> str:
        """16 hexadecimal digits of all that changes what is read; the seed does not."""
        return hashlib.sha256(repr(self._replace(seed=0)).encode(errors="backslashreplace")).hexdigest()[:16]

    def check(self) -> None:
        """Raise RequestError for an impossible value."""
        if self.channels not in (None, 1, 3, 4):
            hint = "choose 1 (grey), 3 (colour) or 4 (colour with transparency)"
            raise RequestError(f"{self.channels} is not possible", hint, field="channels")
        try:
            parse_levels(self.levels)
        except ValueError:
            hint = "choose 'auto', 'full' or LOW:HIGH, the values that become black and white, such as 0:4095"
            raise RequestError(f"{self.levels!r} is not possible", hint, field="levels") from None
        if self.truncated not in ("skip", "keep"):
            raise RequestError(f"{self.truncated!r} is unknown", "choose 'skip' or 'keep'", field="truncated")
        if self.split not in ("train", "test"):
            raise RequestError(f"{self.split!r} is unknown", "choose 'train' or 'test'", field="split")
        if not 0 <= self.seed < 2**63:
            raise RequestError(f"{self.seed} is out of range", "choose 0 or more, below 2^63", field="seed")

    def like(self, dataset: Dataset) -> Options:
        """The same in the form of an opened data set: its splits must agree in what files have chosen."""
        if len(dataset.shape) != 3:
            return self
        channels, height, width = dataset.shape
        return self._replace(size=Size(width, height), channels=channels, levels=dataset.origin.levels or self.levels)

    def require_train(self, name: object) -> None:
        """Raise NoSplit if the test split is asked for: the data set `name` has none."""
        if self.split != "train":
            raise NoSplit(f"{name} has no {self.split} split", "use 'train'", field="split")


DEFAULT = Options()
