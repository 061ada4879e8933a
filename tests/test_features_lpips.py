from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.errors import RequestError
from ganvas.features import lpips, open_features
from ganvas.features.convert import convert
from ganvas.frozen.foreign import read
from ganvas.nets.lpips import TRUNKS, Lpips

CHECKPOINTS = {"vgg": "vgg16.ckpt", "alex": "alexnet.ckpt"}


def network(net: str) -> Lpips:
    """LPIPS with random weights and positive heads."""
    torch.manual_seed(0)
    made = Lpips(net).eval()
    for head in made.heads:
        nn.init.uniform_(head, 0, 0.2)
    return made


def images(n: int = 2, channels: int = 3, size: int = 40) -> Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("net", TRUNKS)
def test_the_trunks_leave_the_papers_activations(net: str) -> None:
    shapes = {
        "alex": [(64, 15), (192, 7), (384, 3), (256, 3), (256, 3)],
        "vgg": [(64, 64), (128, 32), (256, 16), (512, 8), (512, 4)],
    }[net]
    found = Lpips(net).activations(images(1, 3, 64))
    assert [tuple(a.shape) for a in found] == [(1, channels, size, size) for channels, size in shapes]


@pytest.mark.parametrize("net", TRUNKS)
def test_the_distance_is_the_papers_formula(net: str) -> None:
    made, x, y = network(net), images(), images().flip(0)

    def unit(stage: int, x: Tensor) -> Tensor:
        z = (x - torch.tensor([-0.030, -0.088, -0.188])[:, None, None]) / torch.tensor([0.458, 0.448, 0.450])[
            :, None, None
        ]
        for part in made.stages[: stage + 1]:
            z = part(z)
        return F.normalize(z, dim=1, eps=1e-10)

    expected = torch.zeros(2)
    for i, head in enumerate(made.heads):
        # the published form: a 1×1 convolution of the squared differences, then the mean over the pixels
        expected += F.conv2d((unit(i, x) - unit(i, y)) ** 2, head[None, :, None, None]).mean((1, 2, 3))
    torch.testing.assert_close(made.distance(x, y), expected)


@pytest.mark.parametrize("net", TRUNKS)
def test_it_is_a_distance_below_which_pooled_features_stay(net: str) -> None:
    made, x, y = network(net), images(), images().flip(2)
    distance = made.distance(x, y)
    assert distance.shape == (2,) and (distance > 0).all()
    assert torch.equal(made.distance(x, x), torch.zeros(2))
    torch.testing.assert_close(made.distance(y, x), distance)
    pooled = (made(x) - made(y)).square().sum(1)
    assert made(x).shape == (2, made.dim) and (pooled < distance).all()


def test_gradients_are_finite_even_where_nothing_is_active() -> None:
    made = network("alex")
    with torch.no_grad():
        for part in made.modules():
            if isinstance(part, nn.Conv2d):
                part.bias.fill_(-100)  # every activation 0
    x = images().requires_grad_()
    made.distance(x, images().flip(2)).sum().backward()
    assert x.grad is not None and torch.equal(x.grad, torch.zeros_like(x))
    x.grad = None
    network("alex").distance(x, images().flip(2)).sum().backward()
    assert x.grad.isfinite().all() and x.grad.abs().max() > 0


def test_grey_and_small_images_are_widened_and_enlarged() -> None:
    made, grey = network("alex"), images(1, 1, 8)
    large = grey.repeat(1, 3, 1, 1).repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(made(grey), made(large))
    with pytest.raises(RequestError, match=r"images \(N, C, H, W\) of 1, 3 or 4 channels, not \(4, 2\)"):
        made(torch.zeros(4, 2))
    with pytest.raises(RequestError, match="unknown LPIPS network 'vgg16'; did you mean vgg"):
        Lpips("vgg16")


def torchvision(made: Lpips) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights as torchvision's classifier and the lpips package name them."""
    index = {"alex": (0, 3, 6, 8, 10), "vgg": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)}
    kernels = [part for part in made.modules() if isinstance(part, nn.Conv2d)]
    trunk = {"classifier.1.weight": torch.ones(3)}
    for i, part in zip(index["vgg" if len(kernels) == 13 else "alex"], kernels, strict=True):
        trunk |= {f"features.{i}.weight": part.weight.data, f"features.{i}.bias": part.bias.data}
    return trunk, {f"lin{i}.model.1.weight": head.data[None, :, None, None] for i, head in enumerate(made.heads)}


@pytest.mark.parametrize(("net", "name"), [("alex", "lpips-alex"), ("vgg", "lpips")])
def test_torchvisions_trunk_and_the_authors_heads_convert(
    net: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = network(net)
    for file, content in zip(("trunk.pth", "heads.pth"), torchvision(made), strict=True):
        torch.save(content, tmp_path / file)
    convert(name, [tmp_path / "trunk.pth", tmp_path / "heads.pth"], tmp_path)
    monkeypatch.setenv("GANVAS_WEIGHTS", str(tmp_path))
    loaded = lpips.load(net)
    assert torch.equal(loaded.distance(images(), images().flip(2)), made.distance(images(), images().flip(2)))
    assert not any(weight.requires_grad for weight in loaded.parameters())
    extractor = open_features(name)
    assert (extractor.name, extractor.dim, len(extractor.hash)) == (name, made.dim, 16)
    torch.testing.assert_close(extractor(images()), made(images()).detach())


def test_flax_checkpoints_convert(tmp_path: Path) -> None:
    made = network("alex")
    kernels = [part for part in made.modules() if isinstance(part, nn.Conv2d)]
    tree: dict[str, dict[str, dict[str, np.ndarray]]] = {"AlexNet_0": {}}
    for i, part in enumerate(kernels):
        kernel = part.weight.data.permute(2, 3, 1, 0).numpy()
        tree["AlexNet_0"][f"Conv_{i}"] = {"kernel": kernel, "bias": part.bias.data.numpy()}
    for i, head in enumerate(made.heads):
        tree[f"NetLinLayer_{i}"] = {"Conv_0": {"kernel": head.data.numpy()[None, None, :, None]}}
    (tmp_path / "alexnet.ckpt").write_bytes(_python_arrays(tree))
    _, found = lpips.convert(read(tmp_path / "alexnet.ckpt"), "alex")
    assert found.keys() == made.state_dict().keys()
    assert all(torch.equal(found[key], value) for key, value in made.state_dict().items())


def _python_arrays(tree: object) -> bytes:
    """A pickle as numpy 1 wrote it, whose arrays call for numpy.core."""
    return pickle.dumps(tree, 3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def test_the_wrong_network_is_refused(tmp_path: Path) -> None:
    trunk, heads = torchvision(network("alex"))
    torch.save(trunk | heads, tmp_path / "alex.pth")
    with pytest.raises(RequestError, match="hold 5 convolutions, and LPIPS with 'vgg' has 13"):
        convert("lpips", [tmp_path / "alex.pth"], tmp_path)
    torch.save(trunk, tmp_path / "trunk.pth")
    with pytest.raises(RequestError, match=r"is not lpips-alex \(.*lin0\.model\.1\.weight"):
        convert("lpips-alex", [tmp_path / "trunk.pth"], tmp_path)


@pytest.fixture(params=TRUNKS)
def real(request: pytest.FixtureRequest, published: Callable[[str], Path], tmp_path: Path) -> tuple[str, Lpips]:
    """The published network, converted."""
    options, weights = lpips.convert(read(published(CHECKPOINTS[request.param])), request.param)
    made = Lpips(**options)
    made.load_state_dict(weights)
    return request.param, made.requires_grad_(False)


@pytest.mark.assets
def test_the_heads_are_the_authors_own(real: tuple[str, Lpips], published: Callable[[str], Path]) -> None:
    net, made = real
    heads = read(published(f"lpips/weights/v0.1/{net}.pth"))
    assert len(heads) == len(made.heads)
    for i, head in enumerate(heads.values()):
        assert torch.equal(head.flatten(), made.heads[i])
        assert (head >= 0).all()


@pytest.mark.assets
def test_the_authors_examples_are_as_far_apart_as_theirs(
    real: tuple[str, Lpips], published: Callable[[str], Path]
) -> None:
    """With "alex", the authors' test_network.py prints "Distances: (0.722, 0.138)" of their images (issue 120)."""
    from PIL import Image

    def picture(name: str) -> Tensor:
        pixels = np.array(Image.open(published(name)).convert("RGB"))
        return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1

    net, made = real
    if net != "alex":
        pytest.skip("the authors give no figures of VGG")
    found = [made.distance(picture("ex_ref.png"), picture(name)).item() for name in ("ex_p0.png", "ex_p1.png")]
    assert found == pytest.approx([0.722, 0.138], abs=6e-4)


@pytest.mark.assets
def test_damage_is_seen_as_far_as_it_goes(real: tuple[str, Lpips], fashion_mnist: Path) -> None:
    """Blur and noise move a photograph, more of them further; an even shift of the same error moves it less."""
    from ganvas.data import open_data

    _, made = real
    x = open_data(str(fashion_mnist)).items[:16].float().div(127.5).sub(1)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    noisy = [made.distance(x, (x + s * noise).clamp(-1, 1)).mean().item() for s in (0.05, 0.2, 0.8)]
    blurred = [made.distance(x, F.avg_pool2d(x, k, 1, k // 2)).mean().item() for k in (3, 5, 9)]
    assert 0 < noisy[0] < noisy[1] < noisy[2]
    assert 0 < blurred[0] < blurred[1] < blurred[2]
    mean_error = (F.avg_pool2d(x, 9, 1, 4) - x).square().mean()
    shift = made.distance(x, x + mean_error.sqrt()).mean()
    assert shift < 0.5 * blurred[2]
