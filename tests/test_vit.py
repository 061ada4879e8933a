from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.errors import RequestError
from ganvas.nets.vit import Block, QuickGELU, VisionTransformer

TINY = {"size": 8, "patch": 4, "width": 12, "layers": 2, "heads": 3, "mlp": 20}


def tiny(**options: int | str | bool) -> VisionTransformer:
    torch.manual_seed(0)
    network = VisionTransformer(**{**TINY, **options}).eval()
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.5)  # so that nothing is hidden by an initial 0 or 1
    return network


def reference(block: Block) -> nn.TransformerEncoderLayer:
    """torch's own layer with the weights of a block."""
    norm1, attention = block.attention[0], block.attention[1]
    norm2, first, _, last = block.mlp
    layer = nn.TransformerEncoderLayer(12, 3, 20, 0.0, F.gelu, 1e-6, batch_first=True, norm_first=True)
    for theirs, ours in (
        (layer.norm1, norm1),
        (layer.norm2, norm2),
        (layer.linear1, first),
        (layer.linear2, last),
        (layer.self_attn.out_proj, attention.out),
    ):
        theirs.load_state_dict(ours.state_dict())
    layer.self_attn.load_state_dict(
        {"in_proj_weight": attention.qkv.weight, "in_proj_bias": attention.qkv.bias}
        | {f"out_proj.{name}": value for name, value in attention.out.state_dict().items()}
    )
    return layer


def test_a_block_is_torchs_transformer_layer() -> None:
    block = tiny().blocks[0]
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(block(x), reference(block)(x))


def test_the_whole_is_patches_positions_blocks_and_a_projection() -> None:
    network = tiny(outputs=7)
    x = torch.randn(2, 3, 8, 8)
    # the patches as rows of a matrix product, row by row of the image
    patches = x.reshape(2, 3, 2, 4, 2, 4).permute(0, 2, 4, 1, 3, 5).reshape(2, 4, 48)
    tokens = patches @ network.patches.weight.reshape(12, 48).T + network.patches.bias
    tokens = torch.cat([network.class_token.expand(2, 1, 12), tokens], 1) + network.position
    for block in network.blocks:
        tokens = reference(block)(tokens)
    tokens = F.layer_norm(tokens, (12,), network.norm.weight, network.norm.bias, 1e-6)
    torch.testing.assert_close(network.tokens(x), tokens)
    torch.testing.assert_close(network(x), tokens[:, 0] @ network.projection.weight.T)


def test_clips_variant_normalises_before_the_first_block() -> None:
    network = tiny(pre_norm=True, activation="quick-gelu", layers=0)
    assert network.patches.bias is None
    x = torch.randn(2, 3, 8, 8)

    def norm(y: Tensor, layer: nn.LayerNorm) -> Tensor:
        return F.layer_norm(y, (12,), layer.weight, layer.bias, 1e-6)

    token = network.class_token + network.position[0]
    assert isinstance(network.pre_norm, nn.LayerNorm)
    torch.testing.assert_close(network(x)[1], norm(norm(token, network.pre_norm), network.norm))


def test_quick_gelu_is_x_times_the_sigmoid_of_1_702_x() -> None:
    x = torch.tensor([-2.0, 0.0, 1.5], dtype=torch.float64)
    expected = [v / (1 + math.exp(-1.702 * v)) for v in x.tolist()]
    torch.testing.assert_close(QuickGELU()(x), torch.tensor(expected, dtype=torch.float64))


def test_layer_scale_multiplies_each_branch() -> None:
    torch.manual_seed(0)
    block = Block(12, 3, 20, "gelu", 1e-6, scaled=True)
    x = torch.randn(2, 5, 12)
    plain, scale = block.attention[:2](x), block.attention[2]
    scale.gamma.data = torch.linspace(-1, 1, 12)
    block.mlp[-1].gamma.data.zero_()
    torch.testing.assert_close(block(x), x + plain * torch.linspace(-1, 1, 12))


def test_every_weight_gets_a_gradient() -> None:
    network = tiny(pre_norm=True, layer_scale=True, outputs=5)
    network(torch.randn(2, 3, 8, 8)).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().max() > 0 for weight in network.parameters())


def test_the_published_towers_have_their_published_numbers_of_weights() -> None:
    with torch.device("meta"):
        b16 = VisionTransformer(outputs=512, pre_norm=True)
        b32 = VisionTransformer(patch=32, outputs=512, pre_norm=True)
        dino = VisionTransformer(patch=14, width=384, heads=6, mlp=1536, layer_scale=True)
    count = [sum(weight.numel() for weight in network.parameters()) for network in (b16, b32, dino)]
    # DINOv2 has a mask token beside, and positions for images of 518 pixels, where ours are for 224
    assert count == [86_192_640, 87_849_216, 22_056_576 - 384 - (37**2 - 16**2) * 384]
    assert [network.dim for network in (b16, b32, dino)] == [512, 512, 384]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 9}, "patch: 4 does not divide images of 9 pixels"),
        ({"heads": 5}, "heads: 5 does not divide the width 12"),
        ({"activation": "gleu"}, "unknown activation 'gleu'; did you mean gelu"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, int | str], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        VisionTransformer(**{**TINY, **options})
