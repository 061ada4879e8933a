"""A page that draws: the generator, its runtime and its sliders in one HTML file, which works offline."""

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
from .program import facts
from .runtime import VERSION, open_runtime

SLIDERS = 8  # at most
DEVIATIONS = 4.0  # of the latents, to either side of a slider
SAMPLES, FIRST = 256, 10**6  # for principal directions and deviations: how many, and their first seed
COARSE = 8  # pixels of a side of their pictures
SAVED = 256  # seeds whose latents the page holds where it cannot draw them itself
CRISP = 128  # pixels: smaller pictures are enlarged without smoothing
TEMPLATES = Environment(
    loader=PackageLoader("ganvas.exporters"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def encode(generator: TrainedGenerator, model: bytes, title: str, directions: Directions | None = None) -> bytes:
    """The page of a generator whose ONNX file holds `model`, with a slider for each of the first SLIDERS directions.

    directions: by default `strongest`. Raises RequestError where the runtime is neither in the cache nor downloadable.
    """
    script, wasm = open_runtime()
    directions = directions or strongest(generator)
    directions = Directions(directions.vectors[:SLIDERS], directions.names[:SLIDERS])
    size = generator.decoder.shape[1:]
    about = facts(generator) | {
        "names": list(directions.names),
        "reach": reach(generator, directions),
        "normal": draws_normals(generator),
        "truncates": truncates(generator),
    }
    parts = {"script": script, "wasm": wasm, "model": model, "directions": floats(directions.vectors)}
    if generator.keywords:
        sets = generator.decoder.get_buffer("prompts")  # sets of keywords, which seeds take in turn
        parts["prompts"] = sets.cpu().numpy().tobytes()
    if not about["normal"]:
        parts["latents"] = floats(generator.latents(range(SAVED)))
    page = TEMPLATES.get_template("page.html").render(
        title=title,
        facts=about,
        seeds=2**32 if about["normal"] else SAVED,
        crisp=max(size) < CRISP,
        version=VERSION,
        parts={name: pack(content) for name, content in parts.items()},
    )
    return page.encode()


def strongest(generator: TrainedGenerator, count: int = SLIDERS) -> Directions:
    """The directions that change most: SeFa's, or, where it has no layer of the latent, those of coarse pictures.

    The latter are GANSpace's, with the pictures as features.
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
    """How far each slider goes to either side: DEVIATIONS of the latents along its direction."""
    z = generator.latents(range(FIRST, FIRST + SAMPLES)).flatten(1)
    return (DEVIATIONS * (z @ directions.vectors.flatten(1).T).std(0)).tolist()


def draws_normals(generator: TrainedGenerator) -> bool:
    """Whether a seed's latent is torch.randn's, which the page draws itself."""
    z = generator.latents([7, 8])
    drawn = [torch.randn(z[:1].shape, generator=torch.Generator().manual_seed(seed)) for seed in (7, 8)]
    return torch.equal(z, torch.cat(drawn))


def truncates(generator: TrainedGenerator) -> bool:
    """Whether truncation has an effect: not on grids or noise, nor where the length of a latent does not count."""
    z, labels = generator.latents([0]), generator.labels([0])
    return z.ndim == 2 and not torch.allclose(generator.decode(z, labels), generator.decode(z / 2, labels), atol=1e-3)


def floats(x: Tensor) -> bytes:
    """The numbers as little-endian float32, row by row."""
    return x.numpy().astype("<f4").tobytes()


def pack(content: bytes) -> str:
    """Bytes as text for HTML: compressed, in base64."""
    return b64encode(gzip.compress(content, 9, mtime=0)).decode()
