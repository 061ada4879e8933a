"""The adversarial recipes by name: each the default options of one published or measured way to train a GAN."""

from __future__ import annotations

from .gan import GAN


def gan() -> GAN:
    """The recommended default: convolutions for images, perceptrons for points, sized to the data.

    Non-saturating loss, R1 at every sixteenth step, the batch's standard deviation shown to the critic, small batches,
    a high rate and a moving average: of what was tried within minutes of CPU time, this was best (docs/results.md).
    R1 stays with any other objective; penalty=auto and penalty_every=1 give each its own.
    """
    return GAN(
        width=0,
        critic_norm="none",
        minibatch_stddev=True,
        penalty="r1:1",
        penalty_every=16,
        batch=32,
        lr=1e-3,
        ema=0.999,
        steps=2500,
        sample_every=500,
    )


def sine() -> GAN:
    """A point GAN on (x, sin x), x in [0, 2π] (source 000).

    Latent N(0, I₂), binary cross-entropy, Adam 1e-3, 300 epochs of 1,024 points. The source's text gives the critic an
    input of "256, 2" and the generator three hidden layers; the sizes here are those that chain. What is sampled is
    a moving average, the rates fall to a hundredth, the critic's begins twice as high, and Adam's β are 0 and 0.99:
    without these the generator keeps circling the curve.
    """
    return GAN(
        data="sine",
        net="mlp",
        latent=2,
        hidden=(16, 32),
        critic_hidden=(256, 128, 64),
        critic_activation="relu",
        norm=False,
        out="linear",
        dropout=0.3,
        batch=32,
        steps=9600,
        lr=1e-3,
        critic_lr=2e-3,
        beta1=0.0,
        beta2=0.99,
        decay=-1,
        ema=0.999,
        sample_every=1600,
    )


def points() -> GAN:
    """R3GAN for 2-D points (ring, grid, spiral): perceptrons, R1 and R2 at every fourth step, and a falling rate."""
    return GAN(
        data="ring",
        objective="r3gan",
        penalty="r1:0.2+r2:0.2",
        penalty_every=4,
        net="mlp",
        latent=2,
        hidden=(256, 256, 256),
        critic_hidden=(128, 128, 128),
        norm=False,
        batch=128,
        steps=9000,
        decay=-1,
        lr=1e-3,
        critic_lr=3e-3,
        beta1=0.0,
        beta2=0.99,
        ema=0.999,
        sample_every=1500,
    )


def mlp() -> GAN:
    """The Fashion-MNIST perceptron (source 003): ReLU, tanh, dropout 0.3, binary cross-entropy, Adam 1e-4, batch 32."""
    return GAN(
        data="fashion-mnist",
        net="mlp",
        critic_activation="relu",
        norm=False,
        dropout=0.3,
        batch=32,
        steps=18_750,
        lr=1e-4,
        beta1=0.9,
        sample_every=300,
    )


def mlp_bn() -> GAN:
    """The perceptron with batch norm (source 002, section 2.4): images in [0, 1], sigmoid output, Adam 1e-4, batch 128.

    The source's critic loss is half the sum of its two terms; under Adam the factor changes nothing.
    """
    return GAN(
        data="mnist",
        net="mlp",
        latent=64,
        hidden=(128, 256, 512, 1024),
        critic_hidden=(1024, 512, 256),
        norm=True,
        out="sigmoid",
        batch=128,
        steps=20_000,
        lr=1e-4,
        beta1=0.9,
        sample_every=300,
    )


def mlp_selu() -> GAN:
    """The small SELU perceptron (source 001, section 3.1): sigmoid output, RMSprop (Keras's rate 1e-3), batch 32."""
    return GAN(
        data="mnist",
        net="mlp",
        hidden=(100, 150),
        critic_hidden=(150, 100),
        activation="selu",
        critic_activation="selu",
        norm=False,
        out="sigmoid",
        optimizer="rmsprop",
        batch=32,
        steps=18_750,
        lr=1e-3,
    )


def mlp_wide() -> GAN:
    """The very wide perceptron (source 001, section 3.2): 10,000 and 4,000 hidden units, in the critic 10,000.

    The source's generator ends in a linear layer; tanh keeps it in the range of the images.
    """
    return GAN(
        data="mnist",
        net="mlp",
        hidden=(10_000, 4_000),
        critic_hidden=(10_000,),
        activation="leaky-0.01",
        critic_activation="relu",
        norm=False,
        batch=32,
        lr=1e-4,
        beta1=0.9,
    )


def dcgan() -> GAN:
    """DCGAN (sources 000 and 004): transposed convolutions, batch norm, Adam 2e-4 with β₁ 0.5, batch 128."""
    return GAN(data="fashion-mnist", net="dcgan", batch=128)


def r3gan() -> GAN:
    """R3GAN (Huang et al. 2024): relativistic pairing, R1 and R2 at every step, residual nets, no norm, EMA."""
    return GAN(
        data="fashion-mnist",
        net="residual",
        objective="r3gan",
        latent=64,
        width=32,
        norm=False,
        beta1=0.0,
        beta2=0.99,
        ema=0.999,
    )
