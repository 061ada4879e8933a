"""The commands that steer what a generator draws: project, directions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ..errors import RequestError
from .exploring import Label, Prompt, RunOrFile, Settings, told
from .root import app


@app.command
def directions(
    run: RunOrFile,
    /,
    *,
    out: Annotated[Path, Parameter(help="directions.npz; a picture of them is put beside it.")],
    method: Annotated[
        Literal["sefa", "pca", "attribute"],
        Parameter(
            help="sefa: of the first layer's weights; pca: of the features that enter a layer; attribute: what "
            "labels tell apart."
        ),
    ] = "sefa",
    count: Annotated[int, Parameter(help="sefa, pca: how many, the strongest first.")] = 10,
    layer: Annotated[
        int, Parameter(help="pca: the layer whose inputs are looked at; later ones are more abstract.")
    ] = 1,
    samples: Annotated[int, Parameter(help="pca, attribute: latents to learn from.")] = 2000,
    labels: Annotated[
        Path | None, Parameter(negative="", help="attribute: a CSV of samples that you labelled: seed,smile,…")
    ] = None,
    data: Annotated[
        str | None, Parameter(help="attribute: whose attributes a labeller is taught; by default the run's own data.")
    ] = None,
    labeller: Annotated[
        Path | None, Parameter(help="attribute: where the labeller is kept, or is read from if it is there.")
    ] = None,
    words: Annotated[
        list[str] | None,
        Parameter(negative="", help="attribute: words that CLIP judges by: color=red,blue; may repeat."),
    ] = None,
    clip: Annotated[
        Path | None, Parameter(help="CLIP for --words: a run or file; by default the best at hand.")
    ] = None,
    template: Annotated[str, Parameter(help="What CLIP is asked, of each word.")] = "a photo of a {label}",
    classifier: Annotated[Path | None, Parameter(help="attribute: a cnn run, whose classes are told apart.")] = None,
    steer: Annotated[
        bool, Parameter(help="attribute: also learn each direction through the pictures, which leaks less.")
    ] = True,
    held_out: Annotated[int, Parameter(help="attribute: samples that steps are measured on.")] = 500,
    seed: Annotated[int, Parameter(help="What the picture shows.")] = 0,
    strength: Annotated[
        str, Parameter(help="FROM:TO, of the picture, in deviations of the latent.", allow_leading_hyphen=True)
    ] = "-3:3",
    label: Label = None,
    prompt: Prompt = None,
    settings: Settings = None,
) -> None:
    """Find directions of latent space with a meaning, for `edit` and `walk --through`."""
    from .attributing import Judged
    from .directing import Asked, write_directions

    judged = Judged(labels, data, words or [], clip, template, classifier, labeller, held_out, steer)
    asked = Asked(method, count, layer, samples, seed, strength, told(label, prompt), settings or [], judged)
    write_directions(run, asked, out)


@app.command
def project(
    run: RunOrFile,
    /,
    *images: Annotated[Path, Parameter(help="Pictures to find.")],
    out: Annotated[Path, Parameter(help="z.npz, for walk, edit and sample; a picture of what was found beside it.")],
    video: Annotated[str | None, Parameter(help="The way there: trajectory.mp4, .gif, .webp, or a directory.")] = None,
    starts: Annotated[int, Parameter(help="Random pictures to begin from.")] = 256,
    keep: Annotated[int, Parameter(help="Of them, the nearest, that are gone on with.")] = 4,
    steps: Annotated[int, Parameter(help="Of Adam.")] = 100,
    polish: Annotated[int, Parameter(help="Second-order steps at most, where latents are vectors.")] = 15,
    look: Annotated[
        Literal["auto", "lpips", "lpips-alex", "cnn", "none"],
        Parameter(help="A perceptual distance beside the pixels."),
    ] = "auto",
    compare: Annotated[int, Parameter(help="Own samples, and pictures of the data, to tell by what is near.")] = 4,
    label: Label = None,
    prompt: Prompt = None,
    settings: Settings = None,
) -> None:
    """Find the latents of pictures, and tell how near the model comes to them."""
    from ..inversion import Search
    from .projecting import Wanted, write_projection

    if min(starts, keep) < 1 or min(steps, polish, compare) < 0:
        raise RequestError("--starts and --keep are 1 or more; --steps, --polish and --compare 0 or more")
    search = Search(starts, keep, steps, polish)
    write_projection(run, images, Wanted(search, look, told(label, prompt), compare), settings, out, video)
