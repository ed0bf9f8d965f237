"""What several papers have in common, in numpy and float64, written from its definitions."""

import numpy as np
import torch
from torch import nn


def array(tensor):
    return tensor.detach().double().numpy()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


def softplus(x):
    return np.log(1 + np.exp(x))


def run_mlp(net, x):
    """Linear layers with SiLU between them."""
    *hidden, last = [layer for layer in net.modules() if isinstance(layer, nn.Linear)]
    for layer in hidden:
        x = silu(x @ array(layer.weight).T + array(layer.bias))
    return x @ array(last.weight).T + array(last.bias)


class NumpyDenoiser:
    """Restore rows from noise.

    Parameters
    ----------
    encoder, decoder : callable
        From and to arrays (batch, size); an encoder's rows are one feature, or one channel, longer.
    scales : array of shape (scales,)
    """

    def __init__(self, encoder, decoder, scales):
        self.encoder, self.decoder, self.scales = encoder, decoder, np.sort(scales)

    def draw(self, x, copies):
        """Clean rows, noisy rows and the noise's scales, copy by copy; takes its numbers from torch's generator."""
        clean = np.tile(x, (copies, *[1] * (x.ndim - 1)))
        low, high = self.scales[0], self.scales[-1]
        scale = low * (high / low) ** array(torch.rand(len(clean)))
        return clean, clean + as_rows(scale, clean) * array(torch.randn(clean.shape)), scale

    def encode(self, x, scale):
        """Latent vectors of rows with noise of one scale, or of a scale each."""
        scale = as_rows(scale, x)
        told = np.broadcast_to(np.log(scale) / 2, (len(x), 1, *x.shape[2:]))
        return self.encoder(np.concatenate([np.arcsinh(x / np.sqrt(1 + scale**2)), told], axis=1).reshape(len(x), -1))

    def restored(self, x, scale):
        added = self.decoder(self.encode(x, scale)).reshape(x.shape)
        scale = as_rows(scale, x)
        return x / (1 + scale**2) + scale / np.sqrt(1 + scale**2) * added

    def error(self, clean, noisy, scale):
        """Robust error of rows restored from noisy ones."""
        deviation = as_rows(scale, clean) / np.sqrt(1 + as_rows(scale, clean) ** 2)
        relative = ((clean - self.restored(noisy, scale)) / deviation).reshape(len(clean), -1)
        return (2 * (np.sqrt(1 + relative**2) - 1)).mean(axis=1)

    def loss(self, x, copies):
        """Error of each row, averaged over copies that :meth:`draw` makes."""
        return self.error(*self.draw(x, copies)).reshape(copies, len(x)).mean(axis=0)

    def residuals(self, x, train):
        """What is not restored at each scale, and at the infinite one: the deviation from the mean training row."""
        residuals = [x - self.restored(x, scale) for scale in self.scales] + [x - train.mean(axis=0)]
        return [residual.reshape(len(x), -1) for residual in residuals]

    def oddness(self, x, train):
        return oddness(self.residuals(x, train), self.residuals(train, train))


def as_rows(scale, x):
    """A scale, or one for each row, in as many dimensions as rows have."""
    return np.broadcast_to(scale, len(x)).reshape(-1, *[1] * (x.ndim - 1))


def log_energy(residual, mean_square, bounded):
    """Log energy of residuals (..., batch, size) as one of the two judges measures it."""
    relative = residual**2 / mean_square
    return np.log((np.log(1 + relative) if bounded else relative).mean(axis=-1) + 1e-6)


def median(values):
    """The lower one of two middle values."""
    return np.sort(values)[(len(values) - 1) // 2]


def calibration(train, bounded):
    """Usual square, median log energy and its median absolute deviation, of the residuals of one scale."""
    mean_square = (train**2).mean(axis=0) + 1e-6
    energy = log_energy(train, mean_square, bounded)
    middle = median(energy)
    return mean_square, middle, median(np.abs(energy - middle)) + 1e-3


def oddness(residuals, train):
    """Mean over judges of the maximum over scales.

    Parameters
    ----------
    residuals, train : sequence of arrays (rows, size)
        Of the rows to score and of the training rows, at each scale.
    """
    judges = []
    for bounded in (False, True):
        odd = []
        for residual, usual in zip(residuals, train, strict=True):
            mean_square, middle, deviation = calibration(usual, bounded)
            odd.append((log_energy(residual, mean_square, bounded) - middle) / deviation)
        judges.append(np.max(odd, axis=0))
    return np.mean(judges, axis=0)
