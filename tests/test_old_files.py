"""What 0.1 wrote is read, and does what it did then."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import ganvas
from ganvas import files, frozen, latent, records
from ganvas.frozen.weights import SHIPPED
from ganvas.run import Run

OLD = Path(__file__).parent / "data" / "v0.1"
EXPECTED = files.read_arrays(OLD / "expected.npz")
DRAWS: dict[str, Callable[[Path], Tensor]] = {
    **dict.fromkeys(("cgan", "points", "prompt-gan"), lambda file: frozen.load_generator(file).sample(range(2))),
    **dict.fromkeys(("vae", "vqgan"), lambda file: frozen.load_autoencoder(file).as_generator().sample(range(2))),
    "cnn": lambda file: frozen.load_classifier(file).logits(torch.zeros(1, 1, 8, 8)),
    "clip": lambda file: frozen.load_clip(file).text(["a red circle"]),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_network_computes_what_it_did(name: str) -> None:
    found = DRAWS[name](OLD / f"{name}.safetensors").numpy()
    np.testing.assert_allclose(found, EXPECTED[name], atol=1e-5)


def test_a_litter_leads_back_to_its_seeds() -> None:
    lineage = files.read_json(OLD / "litter" / "lineage.json", records.Lineage)
    decoder = frozen.load_generator(OLD / "run").decoder
    z = latent.read_latents(OLD / "litter" / "latents.npz", latent.from_seeds(decoder, [0]))
    grown = [latent.regrow(decoder, lineage["individuals"], name) for name in lineage["children"]]
    torch.testing.assert_close(torch.stack(grown), z)


def test_directions_and_a_painting_are_read() -> None:
    decoder = frozen.load_generator(OLD / "run").decoder
    directions = latent.read_directions(OLD / "directions.npz", latent.from_seeds(decoder, [0]))
    assert directions.vectors.shape == (3, 8) and len(directions.names) == 3
    painted = frozen.load_generator(SHIPPED / "paint-generator.safetensors").place_words("latent")
    z = latent.read_latents(OLD / "painting.npz", painted.latents([0]))
    assert painted.decode(z).shape[1] == 3
    assert "words" in json.loads(str(files.read_arrays(OLD / "painting.npz")["recipe"]))


def test_a_run_that_0_1_began_resumes(tmp_path: Path) -> None:
    path = tmp_path / "run"
    shutil.copytree(OLD / "run", path)
    before = torch.get_num_threads()
    torch.set_num_threads(2)  # as it began
    try:
        run = ganvas.resume(path, progress=False)
    finally:
        torch.set_num_threads(before)
    assert run.step == 6
    found = load_file(path / "checkpoints" / "step-000006" / "model.safetensors")
    expected = load_file(OLD / "run-step-6.safetensors")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5)
    assert [line["step"] for line in Run(path).log] == [2, 4, 6]
