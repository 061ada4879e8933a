"""The adversarial recipes by name: each holds the options of one published or measured way to train a GAN.

The course material: Belhaddad 2023, "Fundamentals of Generative Adversarial Networks"; Nesturi 2024, "Generative AI"
(thesis, Universiteti Polis); the slides "GANs - Generative Adversarial Network" and "Epoch 2: Generative AI"; and notes
without a title.
"""

from __future__ import annotations

from dataclasses import replace

from .gan_options import GAN


def gan() -> GAN:
    """The recommended default: convolutions for images, perceptrons for points, sized to the data.

    Non-saturating loss, R1 at every sixteenth step, the batch's standard deviation shown to the critic, small batches,
    a high learning rate and a moving average: the best of what was tried within minutes of CPU time (docs/results.md).
    R1 stays with any other objective; penalty=auto and penalty_every=1 give each its own penalty.
    """
    networks = GAN(width=0, critic_norm="none", minibatch_stddev=True, penalty="r1:1", penalty_every=16)
    return replace(networks, batch=32, lr=1e-3, ema=0.999, steps=2500, sample_every=500)


def sine() -> GAN:
    """A point GAN on (x, sin x), x in [0, 2π] (course material, "Implementation for a simple example").

    Latent N(0, I₂), binary cross-entropy, Adam 1e-3, 300 epochs of 1,024 points. The course's layer sizes do not fit
    together; these do. A moving average draws the samples, the learning rates fall to a hundredth, the critic's begins
    twice as high, and Adam's β are 0 and 0.99: without these the generator keeps circling the curve.
    """
    networks = GAN(net="mlp", latent=2, hidden=(16, 32), critic_hidden=(256, 128, 64), critic_activation="relu")
    networks = replace(networks, norm=False, out="linear", dropout=0.3)
    options = replace(networks, data="sine", batch=32, steps=9600, decay=-1, ema=0.999, sample_every=1600)
    return replace(options, lr=1e-3, critic_lr=2e-3, beta1=0.0, beta2=0.99)


def points() -> GAN:
    """R3GAN for 2-D points (ring, grid, spiral): perceptrons, R1 and R2 at every fourth step, cosine decay."""
    networks = GAN(net="mlp", latent=2, hidden=(256, 256, 256), critic_hidden=(128, 128, 128), norm=False)
    losses = replace(networks, objective="r3gan", penalty="r1:0.2+r2:0.2", penalty_every=4)
    options = replace(losses, data="ring", batch=128, steps=9000, decay=-1, ema=0.999, sample_every=1500)
    return replace(options, lr=1e-3, critic_lr=3e-3, beta1=0.0, beta2=0.99)


def mlp() -> GAN:
    """The Fashion-MNIST perceptron (course slides "GANs"): ReLU, tanh, dropout 0.3, Adam 1e-4, batch 32."""
    networks = GAN(net="mlp", critic_activation="relu", norm=False, dropout=0.3)
    return replace(networks, data="fashion-mnist", batch=32, steps=18_750, lr=1e-4, beta1=0.9, sample_every=300)


def mlp_bn() -> GAN:
    """The perceptron with batch norm (Nesturi 2024, section 2.4): sigmoid output, Adam 1e-4, batch 128.

    Images in [0, 1]. The course's critic loss is half the sum of its two terms, which changes nothing under Adam.
    """
    networks = GAN(net="mlp", latent=64, hidden=(128, 256, 512, 1024), critic_hidden=(1024, 512, 256), out="sigmoid")
    return replace(networks, data="mnist", batch=128, steps=20_000, lr=1e-4, beta1=0.9, sample_every=300)


def mlp_selu() -> GAN:
    """The small SELU perceptron (Belhaddad 2023, section 3.1): sigmoid output, RMSprop 1e-3 (as Keras), batch 32."""
    networks = GAN(net="mlp", hidden=(100, 150), critic_hidden=(150, 100), norm=False, out="sigmoid")
    networks = replace(networks, activation="selu", critic_activation="selu")
    return replace(networks, data="mnist", optimizer="rmsprop", batch=32, steps=18_750, lr=1e-3)


def mlp_wide() -> GAN:
    """The very wide perceptron (Belhaddad 2023, section 3.2): 10,000 and 4,000 hidden units, in the critic 10,000.

    The course's generator ends in a linear layer; tanh keeps it in the range of the images.
    """
    networks = GAN(net="mlp", hidden=(10_000, 4_000), critic_hidden=(10_000,), norm=False)
    networks = replace(networks, activation="leaky-0.01", critic_activation="relu")
    return replace(networks, data="mnist", batch=32, lr=1e-4, beta1=0.9)


def dcgan() -> GAN:
    """DCGAN (Radford et al. 2016): transposed convolutions, batch norm, Adam 2e-4 with β₁ 0.5, batch 128."""
    return GAN(data="fashion-mnist", net="dcgan", batch=128)


def r3gan() -> GAN:
    """R3GAN (Huang et al. 2024): relativistic pairing, R1 and R2 at every step, residual networks, no norm, EMA."""
    networks = GAN(net="residual", objective="r3gan", latent=64, width=32, norm=False)
    return replace(networks, data="fashion-mnist", beta1=0.0, beta2=0.99, ema=0.999)
