"""Directions with a meaning: from a network's weights, from its features, and from labels."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import RequestError

Affine = nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d
NEWTON = 30  # steps at most; a dozen are usual
TINY = 1e-12
ALIKE = 0.1  # of the largest singular value: directions that differ by less count as one


class Components(NamedTuple):
    """Directions that were found without labels, the strongest first."""

    vectors: Tensor  # (K, ...) float32 on the CPU, each of length 1 over all its numbers
    shares: Tensor  # (K,) of the variance, explained by each


class Boundary(NamedTuple):
    """A linear function of latents, z ↦ ⟨normal, z⟩ + offset."""

    normal: Tensor  # (...) float32 on the CPU, of length 1
    offset: float

    def __call__(self, z: Tensor) -> Tensor:
        """The signed distance of latents (N, ...) from the boundary, (N,)."""
        return z.flatten(1) @ self.normal.flatten() + self.offset


class _LayerReached(Exception):
    """Ends a decoder's forward pass at a layer."""

    def __init__(self, inputs: Tensor) -> None:
        self.inputs = inputs


def affine_layers(decoder: nn.Module, z: Tensor, label: Tensor | None = None) -> list[Affine]:
    """The affine layers that a latent passes, in order, without those that only labels or times pass.

    z: two or more different latents (N, ...), on any device; label: what all of them show.
    """
    found: list[Affine] = []

    def record(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, Affine)
        if module not in found and not torch.equal(inputs[0][0], inputs[0][1]):
            found.append(module)

    hooks = [m.register_forward_pre_hook(record) for m in decoder.modules() if isinstance(m, Affine)]
    _run(decoder, z[:2], None if label is None else label[:1].expand(2, *label.shape[1:]))
    for hook in hooks:
        hook.remove()
    return found


def layer_inputs(decoder: nn.Module, z: Tensor, label: Tensor | None = None, layer: int = 1) -> Tensor:
    """The inputs (N, D), on the CPU, of affine layer number `layer`, from 0, of those that latents (N, ...) pass.

    Those of layer 0 are the latents, those of layer 1 the first features that are not linear in them. Nothing behind
    the layer is computed. N is 2 or more. Raises RequestError where there is no such layer.
    """
    layers = affine_layers(decoder, z, label)
    if not 0 <= layer < len(layers):
        problem = f"latents pass {len(layers)} affine layers here, and there is no layer {layer}"
        raise RequestError(problem, "layers are counted from 0", field="layer")

    def stop(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        raise _LayerReached(inputs[0])

    with layers[layer].register_forward_pre_hook(stop):
        try:
            _run(decoder, z, label)
        except _LayerReached as reached:
            return reached.inputs.flatten(1).float().cpu()
    raise AssertionError("a layer that has been passed is passed again")


def _run(decoder: nn.Module, z: Tensor, label: Tensor | None) -> None:
    device = next(decoder.parameters()).device
    with torch.inference_mode():
        decoder(z.to(device), None if label is None else label.to(device))


def first_affine(decoder: nn.Module, z: Tensor) -> Tensor:
    """The weight A of the first affine layer, (outputs, D), for the D numbers of a latent; z: as in `affine_layers`.

    Raises RequestError where the network does not begin with a layer of the whole latent.
    """
    size = z[0].numel()
    layer = next(iter(affine_layers(decoder, z)), None)
    if layer is None:
        raise _no_sefa("has no affine layer")
    weight = layer.weight.detach().cpu().double()
    a = weight.flatten(1) if isinstance(layer, nn.ConvTranspose2d) else weight.transpose(0, 1).flatten(1)  # (in, out)
    if len(a) < size:  # where labels or times are inputs too, the latent's numbers come first
        raise _no_sefa(f"begins with a layer of {len(a)} inputs, fewer than the latent's {size} numbers")
    return a[:size].T


def _no_sefa(why: str) -> RequestError:
    return RequestError(f"SeFa needs a layer that takes the latent, and this network {why}", "use pca", field="method")


def sefa(decoder: nn.Module, z: Tensor, count: int) -> Components:
    """The unit n that maximise ‖An‖², A the weight of the first affine layer: the eigenvectors of AᵀA.

    Closed-form factorisation of latent semantics (Shen & Zhou 2021, eq. 5). z: two different latents (2, D). Raises
    RequestError for grids, and where the network does not begin with an affine layer.
    """
    if z.ndim != 2:
        raise _no_sefa(f"takes grids of {'×'.join(map(str, z.shape[1:]))}")
    a = first_affine(decoder, z)
    values, vectors = _eigen(a.T @ a)
    return Components(_unit(vectors[:, :count].T), (values[:count] / values.sum()).float())


def principal(features: Tensor, z: Tensor, count: int) -> Components:
    """The directions of z along which `features` (N, D) of latents z (N, ...) vary most: GANSpace.

    With V the principal components of the features and x = (y - ȳ)V their coordinates, the directions are the rows of
    U = argmin Σ ‖xU - (z - z̄)‖² (Härkönen et al. 2020, section 2.2). N should be several times D.
    """
    y, latents = features.double(), z.flatten(1).double().cpu()
    y, latents = y - y.mean(0), latents - latents.mean(0)
    few = len(y) < y.shape[1]  # then the coordinates need no components
    values, vectors = _eigen(y @ y.T if few else y.T @ y)
    count = min(count, int((values > TINY * values[0]).sum()))
    x = vectors[:, :count] * values[:count].sqrt() if few else y @ vectors[:, :count]
    rows = torch.linalg.lstsq(x, latents).solution
    return Components(_unit(rows).reshape(-1, *z.shape[1:]), (values[:count] / values.sum()).float())


def _eigen(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors (in columns) of a symmetric matrix, the largest first."""
    values, vectors = torch.linalg.eigh(matrix)
    return values.flip(0).clamp(min=0), vectors.flip(1)


def _unit(rows: Tensor) -> Tensor:
    """Rows of length 1 whose largest number is positive, since a direction has no sign of its own; float32."""
    largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
    return (rows * largest.sign() / rows.norm(dim=1, keepdim=True).clamp(min=TINY)).float()


def logistic(z: Tensor, positive: Tensor, strength: float = 1.0) -> Boundary:
    """The boundary between latents (N, ...) that are `positive`, (N,) of shares in [0, 1], and those that are not.

    L2-regularised logistic regression, by Newton's method in float64. InterFaceGAN (Shen et al. 2020) has a support
    vector machine, which gives no probability. strength: the weight of ½‖w‖². Raises RequestError where all latents are
    on one side.
    """
    x, y = z.flatten(1).double().cpu(), positive.double().cpu()
    if not 0 < float(y.mean()) < 1 or len(y.unique()) < 2:
        raise RequestError("a boundary needs samples on both sides", "label more samples, or others")
    x = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1)
    penalty = torch.full((x.shape[1],), strength, dtype=x.dtype)
    penalty[-1] = 0  # the offset is free
    w = torch.zeros(x.shape[1], dtype=x.dtype)
    for _ in range(NEWTON):
        p = torch.sigmoid(x @ w)
        gradient = x.T @ (p - y) + penalty * w
        hessian = (x * (p * (1 - p))[:, None]).T @ x + penalty.diag()
        hessian.diagonal().add_(TINY)
        step = torch.linalg.solve(hessian, gradient)
        w = w - step * min(1.0, 10 / float(step.norm()))  # far from the minimum a full step can overshoot
        if float(step.norm()) < 1e-8 * (1 + float(w.norm())):
            break
    return _boundary(w, z)


def ridge(z: Tensor, score: Tensor, strength: float = 1.0) -> Boundary:
    """The direction of z (N, ...) along which `score` (N,) rises most, in closed form: (ZᵀZ + λ)⁻¹ Zᵀ(s - s̄).

    For scores by degree, such as a size. The boundary is at the mean score. Raises RequestError where all are equal.
    """
    x, y = z.flatten(1).double().cpu(), score.double().cpu()
    if float(y.std()) < TINY:
        raise RequestError("all samples have the same score", "label samples that differ")
    centre = x.mean(0)
    x, y = x - centre, y - y.mean()
    w = torch.linalg.solve(x.T @ x + strength * torch.eye(x.shape[1], dtype=x.dtype), x.T @ y)
    return _boundary(torch.cat([w, -(w @ centre)[None]]), z)


def _boundary(w: Tensor, z: Tensor) -> Boundary:
    length = w[:-1].norm().clamp(min=TINY)
    return Boundary((w[:-1] / length).float().reshape(z.shape[1:]), float(w[-1] / length))


def condition(direction: Tensor, others: Tensor) -> Tensor:
    """The direction (...) without its part in the span of `others` (M, ...), of length 1.

    InterFaceGAN's conditional manipulation (Shen et al. 2020, eq. 6 and its generalisation to many attributes).
    Raises RequestError where nothing is left.
    """
    v = direction.flatten().double()
    basis, sizes, _ = torch.linalg.svd(others.flatten(1).double().T, full_matrices=False)
    basis = basis[:, sizes > ALIKE * sizes.max()] if len(others) else basis
    v = v - basis @ (basis.T @ v)
    if float(v.norm()) < 1e-6 * float(direction.norm()):
        raise RequestError("nothing is left of a direction that others determine", "condition on fewer of them")
    return (v / v.norm()).float().reshape(direction.shape)
