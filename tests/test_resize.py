from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from ganvas.errors import RequestError
from ganvas.nets.resize import resize, square, weights

SIZES = [(7, 20), (32, 299), (32, 224), (50, 16), (33, 32)]


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("old", "new"), SIZES)
def test_resampling_is_torchs_antialiased(method: str, old: int, new: int) -> None:
    x = torch.rand(2, 3, old, old + 5, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(x, (new, new + 3), mode=method, antialias=True, align_corners=False)
    torch.testing.assert_close(resize(x, (new, new + 3), method), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("method", "pillow"), [("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)])
@pytest.mark.parametrize(("old", "new"), SIZES)
def test_resampling_is_pillows_to_its_rounding(method: str, pillow: Image.Resampling, old: int, new: int) -> None:
    grey = np.random.default_rng(0).random((old, old), np.float32)
    expected = np.asarray(Image.fromarray(grey).resize((new, new), pillow))
    ours = resize(torch.from_numpy(grey)[None, None], new, method)[0, 0].numpy()
    np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_tensorflow_1_samples_between_corners_and_does_not_antialias(old: int, new: int) -> None:
    row = torch.from_numpy(np.random.default_rng(0).random(old))
    at = np.arange(new) * old / new
    expected = np.interp(at, np.arange(old), row.numpy())  # which holds the last value beyond the last pixel
    np.testing.assert_allclose((weights(old, new, "tensorflow").double() @ row).numpy(), expected, atol=1e-6)


def test_the_short_side_is_resized_and_the_centre_cut_out() -> None:
    x = torch.rand(1, 3, 40, 64)
    expected = resize(x, (20, 32), "bicubic")[:, :, :, 6:26]
    torch.testing.assert_close(square(x, 20, "bicubic"), expected)
    torch.testing.assert_close(square(x.mT, 20, "bicubic"), expected.mT)
    assert torch.equal(square(x[:, :, :, :40], 40, "bicubic"), x[:, :, :, :40])


def test_gradients_pass() -> None:
    x = torch.rand(1, 1, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: square(x, 8, "bicubic"), x)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(RequestError, match="unknown resampling 'cubic'; did you mean bicubic"):
        resize(torch.rand(1, 1, 4, 4), 8, "cubic")


def test_a_resize_without_gradients_does_not_spoil_a_later_one_with() -> None:
    x = torch.rand(1, 3, 41, 41, requires_grad=True)
    with torch.inference_mode():
        resize(x.detach(), 17, "bicubic")
    resize(x, 17, "bicubic").sum().backward()
    assert x.grad is not None
