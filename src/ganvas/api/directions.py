"""Find directions of latent space with a meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from ..attributes import Source, directing
from ..attributes.directing import Directions
from ..frozen.opening import path_of
from ..latent.saved import npz_path
from ..progress import Progress, Steps
from .arguments import asked_label, image_generator_of, parse_strengths
from .types import ClipLike, Data, Device, Label, Options, Out, RunLike, Strength, Texts
from .verb import Verb


@Verb
def directions(
    run: RunLike,
    *,
    method: Annotated[
        Literal["sefa", "pca", "attribute"],
        "sefa: of the first layer's weights; pca: of the features that enter a layer; attribute: of what labels say.",
    ] = "sefa",
    count: Annotated[int, "sefa, pca: how many, the strongest first."] = 10,
    layer: Annotated[int, "pca: the layer whose inputs are used; later ones are more abstract."] = 1,
    samples: Annotated[int, "pca, attribute: latents to learn from."] = 2000,
    labels: Annotated[Out | None, "attribute: a CSV of samples that you labelled: seed,smile,…"] = None,
    data: Annotated[Data | None, "attribute: what a labeller learns; by default the run's own data."] = None,
    labeller: Annotated[Out | None, "attribute: where the labeller is kept, or is read from if it is there."] = None,
    words: Annotated[Texts | None, "attribute: words that CLIP judges by: color=red,blue; may repeat."] = None,
    clip: Annotated[ClipLike | None, "CLIP for the words: a run or file; by default the best at hand."] = None,
    template: Annotated[str, "What CLIP is asked, of each word."] = "a photo of a {label}",
    classifier: Annotated[Out | None, "attribute: a cnn run, whose classes are used."] = None,
    steer: Annotated[bool, "attribute: also learn each direction through the pictures, which leaks less."] = True,
    held_out: Annotated[int, "attribute: samples that steps are measured on."] = 500,
    seed: Annotated[int, "What the picture shows."] = 0,
    strength: Annotated[Strength, "FROM:TO, of the picture, in deviations of the latent."] = "-3:3",
    label: Label | None = None,
    prompt: str | None = None,
    options: Options | None = None,
    device: Device = "auto",
    out: Annotated[Out | None, "directions.npz; a picture of them is put next to it."] = None,
    progress: bool = True,
) -> Steps[Directions]:
    """Find directions of latent space with a meaning, for `edit` and `walk`."""
    ends, shown = parse_strengths(strength), asked_label(label, prompt)
    paths = (None if one is None else Path(one) for one in (labels, classifier, labeller))
    file, kind, kept = paths
    texts = [words] if isinstance(words, str) else list(words or ())
    source = Source(file, None if data is None else data, texts, clip, template, kind, kept)  # type: ignore[arg-type]
    source.check(method)
    if out is not None:
        npz_path(out)
    directing.check_counts(method, count, samples, held_out)
    generator = image_generator_of(run, device, options)
    yield Progress("finding directions")
    if method == "attribute":
        found = yield from directing.by_attribute(path_of(run), generator, source, samples, held_out, steer, shown)
    else:
        found = directing.by_variance(generator, method, count, layer, samples, shown)
    drawn = directing.draw(generator, found, seed, ends, shown)
    if out is not None:
        drawn.save(out)
    return drawn
