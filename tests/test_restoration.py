"""Restoring and scoring against numpy, and what follows from it."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from pyod_synth import restoration
from pyod_synth.networks import decoder, encoder, mlp
from pyod_synth.restoration import Denoiser, Energies, check_scales, log_energy, usual_square
from tests import reference
from tests.reference import NumpyDenoiser, array, run_mlp

SHAPES = {"table": (4,), "images": (2, 3, 2)}


@pytest.fixture(params=SHAPES)
def shape(request):
    return SHAPES[request.param]


@pytest.fixture
def x(shape):
    return torch.randn(8, *shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def denoiser(shape):
    """Fully connected for images too, which numpy can follow; the encoder takes one feature, or channel, more."""
    torch.manual_seed(0)
    size, told = math.prod(shape), math.prod(shape[1:])
    encode = nn.Sequential(nn.Flatten(), mlp([size + told, 6, 3]))
    decode = nn.Sequential(mlp([3, 6, size]), nn.Unflatten(1, shape))
    return Denoiser(shape, encode, decode, scales=(2.0, 0.5))


@pytest.fixture
def expected(denoiser):
    return NumpyDenoiser(
        lambda rows: run_mlp(denoiser.encoder, rows), lambda z: run_mlp(denoiser.decoder, z), np.array([0.5, 2.0])
    )


def test_encoder_sees_bounded_rows_and_their_scale(denoiser, expected, x):
    scale = torch.linspace(0.1, 9.0, 8)
    z = array(denoiser.encode(x, scale))
    np.testing.assert_allclose(z, expected.encode(array(x), array(scale)), atol=1e-5)
    assert denoiser.scales.tolist() == [0.5, 2.0]
    for z, s in zip(array(denoiser.latents(x)), (0.5, 2.0), strict=True):
        np.testing.assert_allclose(z, expected.encode(array(x), s), atol=1e-5)


def test_noisy_copies(denoiser, shape):
    x = torch.arange(5000.0).view(-1, *[1] * len(shape)).expand(-1, *shape)
    clean, noisy, scale = denoiser.draw(x)
    copies = 4 if len(shape) == 1 else 1
    assert torch.equal(clean, torch.cat([x] * copies))
    assert len(scale.unique()) > 0.99 * len(clean)
    assert 0.5 <= scale.min() < 0.51
    assert 1.99 < scale.max() <= 2.0
    assert scale.median().item() == pytest.approx(1.0, rel=0.05)  # log-uniform
    noise = (noisy - clean).flatten(1) / scale[:, None]
    assert noise.mean().item() == pytest.approx(0, abs=0.05)
    assert noise.std().item() == pytest.approx(1, rel=0.05)


def test_loss_is_the_error_of_restoring_averaged_over_copies(denoiser, expected, x):
    torch.manual_seed(1)
    loss = denoiser.loss(x)
    torch.manual_seed(1)
    np.testing.assert_allclose(array(loss), expected.loss(array(x), 4 if x.ndim == 2 else 1), rtol=1e-4)


def test_error_counts_squared_when_small_and_by_its_size_when_large(shape):
    decode = nn.Sequential(nn.Linear(3, math.prod(shape)), nn.Unflatten(1, shape))
    denoiser = Denoiser(shape, nn.Identity(), decode, scales=(1.0,))
    clean = torch.zeros(3, *shape)
    nn.init.zeros_(decode[0].weight)
    nn.init.zeros_(decode[0].bias)
    # half of the noise is left in the restored row, and measured in units of 1 / sqrt(2)
    noise = torch.tensor([0.0, 0.05, 1e4])
    noisy = clean + noise.view(-1, *[1] * len(shape))
    error = array(denoiser.error(torch.zeros(3, 3), clean, noisy, torch.ones(3)))
    np.testing.assert_allclose(error, [0, 0.05**2 / 2, 1e4 * math.sqrt(2)], rtol=1e-3, atol=1e-8)


def test_copies_are_averaged():
    denoiser = Denoiser((2,), nn.Identity(), nn.Identity(), scales=(1.0,))
    assert denoiser.over_copies(torch.tensor([1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 6.0, 60.0])).tolist() == [3.0, 30.0]


def test_residuals_at_each_scale(denoiser, expected, x):
    denoiser.calibrate(x)
    new = 3 * torch.randn_like(x)
    residuals = array(denoiser.residuals(new))
    np.testing.assert_allclose(residuals, expected.residuals(array(new), array(x)), atol=1e-5)
    np.testing.assert_array_equal(array(denoiser.residuals(new, denoiser.latents(new))), residuals)


def test_the_largest_scale_is_decoded_alone(denoiser, expected, x):
    # what is left of the noisy row falls with the square of the scale
    z = denoiser.encode(x, torch.full((8,), 1e4))
    np.testing.assert_allclose(expected.restored(array(x), 1e4), array(denoiser.decoder(z)), atol=1e-5)


def test_calibration_and_oddness(denoiser, expected, x):
    denoiser.calibrate(x)
    np.testing.assert_allclose(array(denoiser.mean), array(x).mean(axis=0), atol=1e-6)
    usual = expected.residuals(array(x), array(x))
    for judge, bounded in enumerate((False, True)):
        for scale, residual in enumerate(usual):
            mean_square, median, deviation = reference.calibration(residual, bounded)
            np.testing.assert_allclose(denoiser.energies.mean_square[scale, 0], mean_square, rtol=1e-4)
            assert denoiser.energies.median[judge, scale].item() == pytest.approx(median, abs=1e-4)
            assert denoiser.energies.deviation[judge, scale].item() == pytest.approx(deviation, rel=1e-3)
    for rows in (x, 3 * torch.randn_like(x)):
        odd = expected.oddness(array(rows), array(x))
        np.testing.assert_allclose(array(denoiser.oddness(rows)), odd, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(array(denoiser.oddness(rows, denoiser.latents(rows))), odd, rtol=1e-3, atol=1e-3)


def test_calibration_does_not_depend_on_the_size_of_blocks(monkeypatch, denoiser, x):
    states = []
    for elements in (1, 3 * x[0].numel(), 2**15):  # blocks of one row, of three and two, and of all
        monkeypatch.setattr(restoration, "_BLOCK_ELEMENTS", elements)
        denoiser.calibrate(x)
        states.append({name: value.clone() for name, value in denoiser.named_buffers()})
    for state in states[:2]:
        for name, value in state.items():
            torch.testing.assert_close(value, states[2][name], rtol=1e-4, atol=1e-5)


def test_calibration_and_scoring_learn_nothing(denoiser, x):
    before = [parameter.clone() for parameter in denoiser.parameters()]
    denoiser.calibrate(x)
    assert not any(value.requires_grad for value in denoiser.buffers())
    assert all(torch.equal(*pair) for pair in zip(before, denoiser.parameters(), strict=True))


def test_energies_by_hand():
    energies = Energies(3, 2)
    # nothing is calibrated: mean squares and deviations are 1, medians 0
    residuals = torch.tensor([[[0.1, 0.1], [2.0, -2.0]], [[-3.0, 3.0], [0.0, 0.0]], [[1.0, 1.0], [0.0, 2.0]]])
    expected = [(math.log(9) + math.log(math.log(10))) / 2, (math.log(4) + math.log(math.log(5))) / 2]
    np.testing.assert_allclose(energies.oddness(residuals), expected, rtol=1e-5)
    # the second judge bounds what one coordinate may claim
    lone = torch.tensor([[[1e4, 0.0]]])
    first, second = Energies(1, 2)(lone)[:, 0, 0].tolist()
    assert first == pytest.approx(math.log(1e8 / 2))
    assert second == pytest.approx(math.log(math.log(1 + 1e8) / 2))


def test_judges_may_find_their_maximum_at_different_scales():
    # one coordinate far out at the first scale, all a little at the second
    residuals = torch.tensor([[[9.0, 0.0, 0.0, 0.0]], [[4.0, 4.0, 4.0, 4.0]]])
    expected = (math.log(81 / 4) + math.log(math.log(17))) / 2
    assert Energies(2, 4).oddness(residuals).item() == pytest.approx(expected, rel=1e-5)


def test_medians_are_lower_ones():
    energies = Energies(1, 1)
    x = torch.tensor([[1.0], [2.0], [4.0], [8.0]])
    energies.calibrate(lambda rows: rows[None], x)
    mean_square = 85 / 4 + 1e-6
    log_energies = np.log(np.array([1, 4, 16, 64]) / mean_square + 1e-6)
    assert energies.mean_square.item() == pytest.approx(mean_square)
    assert energies.median[0].item() == pytest.approx(log_energies[1], rel=1e-5)
    assert energies.deviation[0].item() == pytest.approx(math.log(4) + 1e-3, rel=1e-4)


def test_usual_rows_have_oddness_about_zero():
    torch.manual_seed(0)
    energies, x = Energies(1, 5), torch.randn(1001, 5)
    energies.calibrate(lambda rows: rows[None], x)
    standardised = (energies(x[None]) - energies.median) / energies.deviation
    np.testing.assert_allclose(standardised.median(dim=2).values, 0, atol=1e-4)
    np.testing.assert_allclose(standardised.abs().median(dim=2).values, 1, rtol=0.01)
    assert energies.oddness(x[None]).median().abs() < 0.1


def test_what_is_restored_perfectly_has_a_finite_oddness():
    energies, x = Energies(2, 3), torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
    energies.calibrate(lambda rows: torch.zeros(2, *rows.shape), x)
    np.testing.assert_array_equal(energies.oddness(torch.zeros(2, 9, 3)), 0)
    off = energies.oddness(torch.full((2, 9, 3), 1e-3))
    assert off.isfinite().all()
    assert (off > 1).all()
    # one row among others
    residuals = torch.stack([x, x])
    energies.calibrate(lambda rows: torch.stack([rows, rows]), x)
    residuals[:, 4] = 0
    odd = energies.oddness(residuals)
    assert odd.isfinite().all()
    assert odd.argmin() == 4


def test_constant_feature_has_a_finite_oddness(denoiser, x):
    x = x.clone()
    x.flatten(1)[:, 1] = 0.0
    denoiser.calibrate(x)
    assert denoiser.oddness(x).isfinite().all()
    moved = x.clone()
    moved.flatten(1)[:, 1] = 1.0
    odd = denoiser.oddness(moved)
    assert odd.isfinite().all()
    assert (odd > denoiser.oddness(x)).all()
    same = x[:1].expand_as(x)
    denoiser.calibrate(same)
    assert denoiser.oddness(same).isfinite().all()
    assert denoiser.oddness(x).isfinite().all()


def test_oddness_grows_with_distance(denoiser, x):
    denoiser.calibrate(x)
    direction = torch.randn(1, *x.shape[1:])
    distances = torch.logspace(1, 5, 30).view(-1, *[1] * (x.ndim - 1))
    odd = denoiser.oddness(distances * direction)
    assert (odd.diff() > 0).all()
    assert odd[0] > denoiser.oddness(x).max()


def test_log_energy():
    residual, mean_square = np.array([[1.0, -2.0], [0.0, 30.0]]), np.array([0.5, 4.0])
    for bounded in (False, True):
        energy = log_energy(torch.tensor(residual), torch.tensor(mean_square), bounded)
        np.testing.assert_allclose(energy, reference.log_energy(residual, mean_square, bounded))
    assert log_energy(torch.zeros(1, 2), torch.ones(2), False).item() == pytest.approx(math.log(1e-6))


def test_usual_square_is_never_zero():
    residual = torch.tensor([[[1.0, 0.0], [3.0, 0.0]], [[2.0, 1.0], [2.0, -1.0]]])
    torch.testing.assert_close(usual_square(residual), torch.tensor([[[5.0, 0.0]], [[4.0, 1.0]]]) + 1e-6)


@pytest.mark.parametrize(
    "scales", [(), [], (0.4, 0.0), (-1.0,), (math.inf,), (0.5, math.nan), ("a",), (None,), (1j,)], ids=repr
)
def test_scales_out_of_range(scales):
    with pytest.raises(ValueError, match="must be positive finite numbers, at least one, got ") as caught:
        check_scales(scales)
    assert str(caught.value) == f"scales must be positive finite numbers, at least one, got {scales!r}"
    with pytest.raises(ValueError, match="^widths must"):
        check_scales(scales, "widths")


@pytest.mark.parametrize("scales", [(1,), [0.1, 0.1], (3, 0.2), (np.float32(0.5),)], ids=repr)
def test_scales_in_range(scales):
    check_scales(scales)
    denoiser = Denoiser((2,), mlp([3, 2]), mlp([2, 2]), scales)
    assert denoiser.scales.tolist() == pytest.approx(sorted(scales))
    assert denoiser.loss(torch.ones(3, 2)).isfinite().all()
    assert denoiser.residuals(torch.ones(3, 2)).shape == (len(scales) + 1, 3, 2)


def test_images_through_convolutions(images):
    """An image's scale is one more channel, the same at each pixel; no image is copied in a step."""
    x = torch.tensor(images, dtype=torch.float32)
    seen = []
    net = encoder((3, 6, 5), (), 3)
    net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    denoiser = Denoiser((2, 6, 5), net, decoder(3, (), (2, 6, 5)), scales=(0.5, 2.0))
    assert denoiser.loss(x).shape == (60,)
    assert [len(inputs) for inputs in seen] == [60]
    denoiser.encode(x, torch.full((60,), 3.0))
    np.testing.assert_allclose(array(seen[-1][:, :2]), np.arcsinh(array(x) / math.sqrt(10)), atol=1e-5)
    np.testing.assert_allclose(array(seen[-1][:, 2]), math.log(3) / 2, atol=1e-6)
    denoiser.calibrate(x)
    assert denoiser.residuals(x).shape == (3, 60, 60)
    assert denoiser.oddness(x).isfinite().all()


def test_learning_to_restore():
    """Rows on a line: most of the noise can be told from them, if the latent vector can hold it."""
    torch.manual_seed(0)
    x = torch.randn(256, 1) * torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, 1.0])
    denoiser = Denoiser((6,), mlp([7, 32, 8]), mlp([8, 32, 6]), scales=(0.2, 0.4))
    optimizer = torch.optim.Adam(denoiser.parameters(), lr=1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        denoiser.loss(x).mean().backward()
        optimizer.step()
    denoiser.calibrate(x)
    noise = 0.2 * torch.randn_like(x)
    with torch.no_grad():
        restored = x + noise - denoiser.residuals(x + noise)[0]
        assert (restored - x).square().mean() < 0.4 * noise.square().mean()
        # rows off the line, each feature of which is a usual one
        assert denoiser.oddness(x.abs()).median() > denoiser.oddness(x).quantile(0.9)
