"""A page that draws: the generator, its runtime and its sliders in one HTML file, which opens without a network."""

from __future__ import annotations

import gzip
from base64 import b64encode

import torch
from jinja2 import Environment, PackageLoader, StrictUndefined
from torch import Tensor
from torch.nn import functional

from .. import latent
from ..errors import RequestError
from ..frozen import TrainedGenerator
from ..latent import Directions
from .about import about
from .runtime import VERSION, open_runtime

SLIDERS = 8  # at most
DEVIATIONS = 4.0
SAMPLES = 256  # latents that principal directions and deviations are found from
FIRST = 10**6  # seed of them
COARSE = 8  # pixels of a side of them
SAVED = 256  # seeds whose latents the page holds where it cannot draw them itself
CRISP = 128  # pixels: smaller pictures are enlarged without smoothing
TEMPLATES = Environment(
    loader=PackageLoader("ganvas.exporters"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def check(generator: TrainedGenerator) -> None:
    """Raise RequestError where a page cannot show what the generator draws."""
    if len(generator.decoder.shape) != 3:
        raise RequestError("points have no picture each, and so no page; write an .onnx or a .pt2")


def encode(generator: TrainedGenerator, model: bytes, title: str, directions: Directions | None = None) -> bytes:
    """The page of a generator whose ONNX file holds `model`, with a slider for each of the first SLIDERS directions.

    directions: by default what changes the pictures most (`strongest`). Raises RequestError for what `check` refuses,
    and where the runtime can be had neither from the cache nor from the network.
    """
    check(generator)
    script, wasm = open_runtime()
    directions = directions or strongest(generator)
    directions = Directions(directions.vectors[:SLIDERS], directions.names[:SLIDERS])
    size = generator.decoder.shape[1:]
    told = about(generator) | {
        "names": list(directions.names),
        "reach": reach(generator, directions),
        "normal": draws_normals(generator),
        "truncates": truncates(generator),
    }
    parts = {"script": script, "wasm": wasm, "model": model, "directions": floats(directions.vectors)}
    if generator.keywords:
        sets = generator.decoder.get_buffer("prompts")  # of keywords, which seeds take in turn
        parts["prompts"] = sets.cpu().numpy().tobytes()
    if not told["normal"]:
        parts["latents"] = floats(generator.latents(range(SAVED)))
    page = TEMPLATES.get_template("page.html").render(
        title=title,
        told=told,
        seeds=2**32 if told["normal"] else SAVED,
        crisp=max(size) < CRISP,
        version=VERSION,
        parts={name: pack(content) for name, content in parts.items()},
    )
    return page.encode()


def strongest(generator: TrainedGenerator, count: int = SLIDERS) -> Directions:
    """The directions that change most: by the first layer's weights (SeFa) where that takes a latent, a vector.

    Elsewhere they are those along which coarse pictures vary most: GANSpace with the pictures themselves as features.
    """
    try:
        found = latent.sefa(generator.decoder, generator.latents([0, 1]), count)
    except RequestError:
        seeds = range(FIRST, FIRST + SAMPLES)
        z = generator.latents(seeds)
        seen = functional.adaptive_avg_pool2d(generator.decode(z, generator.labels(seeds)), COARSE)
        found = latent.principal(seen.flatten(1), z, count)
    return Directions(found.vectors, tuple(f"direction {i}" for i in range(1, len(found.vectors) + 1)))


def reach(generator: TrainedGenerator, directions: Directions) -> list[float]:
    """How far each slider goes to either side: DEVIATIONS of what latents have along its direction."""
    z = generator.latents(range(FIRST, FIRST + SAMPLES)).flatten(1)
    return (DEVIATIONS * (z @ directions.vectors.flatten(1).T).std(0)).tolist()


def draws_normals(generator: TrainedGenerator) -> bool:
    """Whether a seed's latent is what torch.randn draws from it, which the page does itself."""
    z = generator.latents([7, 8])
    drawn = [torch.randn(z[:1].shape, generator=torch.Generator().manual_seed(seed)) for seed in (7, 8)]
    return torch.equal(z, torch.cat(drawn))


def truncates(generator: TrainedGenerator) -> bool:
    """Whether shorter latents are of use: not where they are grids or noise, nor where their length does not count."""
    z, labels = generator.latents([0]), generator.labels([0])
    return z.ndim == 2 and not torch.allclose(generator.decode(z, labels), generator.decode(z / 2, labels), atol=1e-3)


def floats(x: Tensor) -> bytes:
    """Its numbers as little-endian float32, row by row."""
    return x.numpy().astype("<f4").tobytes()


def pack(content: bytes) -> str:
    """Bytes as text that may stand in HTML: compressed, and in base64."""
    return b64encode(gzip.compress(content, 9, mtime=0)).decode()
