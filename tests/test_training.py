"""The training loop, blocks and threads, on cores small enough to follow by hand."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from pyod_synth import DHAG
from pyod_synth.core import Core, Player
from pyod_synth.networks import lenet
from pyod_synth.training import by_blocks, calibrate, computing, epochs, place
from tests.detectors import small


class Mean(Core):
    """Learns the mean of the rows; remembers what it was given."""

    def __init__(self, size):
        super().__init__()
        self.centre = nn.Parameter(torch.zeros(size))
        self.batches, self.labels, self.calibrated = [], [], None

    def training_loss(self, x, y):
        assert self.training
        self.batches.append(len(x))
        self.labels.append(y)
        return (x - self.centre).square().mean()

    def anomaly_score(self, x):
        assert not self.training
        assert not torch.is_grad_enabled()
        return (x - self.centre).square().flatten(1).sum(dim=1)

    def embed(self, x):
        assert not torch.is_grad_enabled()
        return x - self.centre

    def calibrate(self, x):
        assert not self.training
        assert not torch.is_grad_enabled()
        self.calibrated = x


class Duel(Core):
    """Two players with losses and rates of their own: one follows the rows, the other follows the first."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
        self.moves = []

    def players(self):
        return [Player([{"params": [self.first], "lr": 0.1}], self.first_loss), Player([self.second], self.second_loss)]

    def first_loss(self, x, y):
        self.moves.append("first")
        return (x.mean() - self.first).square().sum()

    def second_loss(self, x, y):
        self.moves.append("second")
        return (self.first - self.second).square().sum()

    def training_loss(self, x, y):
        raise AssertionError("players replace it")

    def anomaly_score(self, x):
        return x.flatten(1).sum(dim=1) * self.second

    def embed(self, x):
        return x.flatten(1)


OPTIONS = {"epoch_num": 3, "batch_size": 4, "lr": 0.01, "weight_decay": 0.0}


def train(core, x, y, **options):
    """All epochs, then what scoring needs."""
    core.generator = torch.Generator().manual_seed(0)
    history = list(epochs(core, x, y, **options))
    calibrate(core, x, y)
    return history


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_every_row_once_in_even_batches():
    core, x = Mean(2), torch.randn(10, 2)
    history = train(core, x, None, **OPTIONS)
    assert core.batches == [4, 3, 3] * 3
    assert core.labels == [None] * 9
    assert len(history) == 3
    assert core.calibrated is x
    assert not core.training


def test_labels_go_with_their_rows():
    core = Mean(1)
    x = torch.arange(10.0)[:, None]
    rows = []
    core.training_loss = lambda x, y: rows.append((x[:, 0].int(), y)) or (x - core.centre).square().mean()
    train(core, x, torch.arange(10), **OPTIONS)
    for got, labels in rows:
        assert torch.equal(got, labels.int())
    assert sorted(torch.cat([labels for _, labels in rows[:3]]).tolist()) == list(range(10))


@pytest.mark.parametrize(
    ("labels", "kept"), [([0, 1, 0, 0, 1], [0, 2, 3]), ([0] * 5, range(5)), ([1] * 5, range(5))], ids=str
)
def test_known_anomalies_are_kept_from_calibration(labels, kept):
    core, x = Mean(1), torch.arange(5.0)[:, None]
    train(core, x, torch.tensor(labels), **OPTIONS)
    assert core.calibrated[:, 0].tolist() == list(kept)


def test_prepared_rows_replace_those_that_came_until_calibration():
    core, x = Mean(1), torch.zeros(10, 1)
    calls = []

    def prepare(x, y):
        calls.append((x, y))
        return torch.ones(13, 1), torch.arange(13)

    core.prepare = prepare
    history = train(core, x, None, epoch_num=2, batch_size=4, lr=1e-9, weight_decay=0.0)
    assert len(calls) == 1
    assert calls[0][0] is x
    assert calls[0][1] is None
    assert core.batches == [4, 3, 3, 3] * 2
    assert sorted(torch.cat(core.labels[:4]).tolist()) == list(range(13))
    assert history == pytest.approx([1, 1])
    assert core.calibrated is x


def test_loss_falls_to_the_minimum():
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0)) + torch.tensor([1.0, -2.0, 0.5])
    core = Mean(3)
    history = train(core, x, None, epoch_num=200, batch_size=64, lr=0.1, weight_decay=0.0)
    torch.testing.assert_close(core.centre.data, x.mean(dim=0), atol=1e-2, rtol=0)
    assert history[-1] == pytest.approx(x.var(dim=0, unbiased=False).mean().item(), rel=1e-2)


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_steps_are_those_of_adamw_along_a_cosine(weight_decay):
    core, steps = Mean(1), 12
    core.training_loss = lambda x, y: -core.centre.sum()  # a constant slope, along which a step is as long as its rate
    train(core, torch.zeros(8, 1), None, epoch_num=6, batch_size=4, lr=0.1, weight_decay=weight_decay)
    expected = 0.0
    for rate in 0.1 * (1 + np.cos(np.pi * np.arange(steps) / steps)) / 2:
        expected = expected * (1 - rate * weight_decay) + rate
    assert core.centre.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("lr_schedule", "rates"),
    [
        ("constant", [0.1] * 12),
        ((1, 4), [0.1] * 2 + [0.01] * 6 + [0.001] * 4),  # epochs of two steps
        ([9], [0.1] * 12),
        ((), [0.1] * 12),
    ],
)
@pytest.mark.parametrize("optimizer_name", ["adam", "amsgrad", "sgd"])
def test_steps_of_other_optimizers_and_schedules(optimizer_name, lr_schedule, rates):
    core = Mean(1)
    core.training_loss = lambda x, y: -core.centre.sum()  # of slope 1: a step is as long as its rate for both
    options = {"optimizer_name": optimizer_name, "lr_schedule": lr_schedule}
    train(core, torch.zeros(8, 1), None, epoch_num=6, batch_size=4, lr=0.1, weight_decay=0.0, **options)
    assert core.centre.item() == pytest.approx(sum(rates), rel=1e-5)


def test_weight_decay_of_sgd_is_part_of_the_slope():
    core, expected = Mean(1), 0.0
    core.training_loss = lambda x, y: -core.centre.sum()
    options = {"optimizer_name": "sgd", "lr_schedule": "constant", "weight_decay": 0.5}
    train(core, torch.zeros(8, 1), None, epoch_num=6, batch_size=4, lr=0.1, **options)
    for _ in range(12):
        expected += 0.1 * (1 - 0.5 * expected)
    assert core.centre.item() == pytest.approx(expected, rel=1e-5)


def test_amsgrad_steps_stay_short_after_a_steep_batch():
    def end(optimizer_name):
        core, slopes = Mean(1), iter([100.0] + [1.0] * 199)
        core.training_loss = lambda x, y: -core.centre.sum() * next(slopes)
        options = {"optimizer_name": optimizer_name, "lr_schedule": "constant", "epoch_num": 200, "batch_size": 8}
        train(core, torch.zeros(8, 1), None, lr=0.1, **options)
        return core.centre.item()

    mean, square, largest, expected = 0.0, 0.0, 0.0, 0.0  # of Reddi et al., with Adam's corrections of the start
    for step, slope in enumerate([100.0] + [1.0] * 199, start=1):
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
        largest = max(largest, square)
        expected += 0.1 * mean / (1 - 0.9**step) / (np.sqrt(largest / (1 - 0.999**step)) + 1e-8)
    assert end("amsgrad") == pytest.approx(expected, rel=1e-4)
    assert end("amsgrad") < end("adam")


def test_groups_of_a_player_have_rates_of_their_own_under_one_schedule():
    core = Duel()
    groups = [{"params": [core.first], "lr": 0.1}, {"params": [core.second]}]
    core.players = lambda: [Player(groups, lambda x, y: -(core.first + core.second).sum())]
    options = {"optimizer_name": "sgd", "lr_schedule": (1,), "epoch_num": 2, "batch_size": 4}
    train(core, torch.ones(8, 1), None, lr=0.01, **options)
    assert core.first.item() == pytest.approx(2 * 0.1 + 2 * 0.01)
    assert core.second.item() == pytest.approx(2 * 0.01 + 2 * 0.001)


@pytest.mark.parametrize("verbose", [True, False])
def test_progress_is_shown_on_request(capsys, verbose):
    train(Mean(1), torch.zeros(8, 1), None, verbose=verbose, **OPTIONS)
    out, err = capsys.readouterr()
    assert out == ""
    assert bool(err) == verbose
    assert ("Mean" in err and "3/3" in err) == verbose


def test_players_move_in_turn_and_only_their_own_parameters():
    core = Duel()
    train(core, torch.ones(8, 1), None, **OPTIONS)
    assert core.moves == ["first", "second"] * 6
    # the first moves ten times as fast, since it states its own learning rate
    assert core.first.item() > 3 * core.second.item() > 0


def test_divergence_is_an_error():
    core = Mean(2)
    core.training_loss = lambda x, y: core.centre.sum() * torch.nan
    with pytest.raises(FloatingPointError, match="loss of Mean is nan in epoch 1"):
        train(core, torch.randn(4, 2), None, **OPTIONS)


def test_batches_are_drawn_from_the_generator():
    def rows(seed):
        core, seen = Mean(1), []
        core.training_loss = lambda x, y: seen.append(x[:, 0].tolist()) or (x - core.centre).square().mean()
        core.generator = torch.Generator().manual_seed(seed)
        list(epochs(core, torch.arange(10.0)[:, None], None, **OPTIONS))
        return seen

    state = torch.get_rng_state()
    assert rows(1) == rows(1) != rows(2)
    assert torch.equal(torch.get_rng_state(), state)


def test_epochs_come_one_by_one():
    core, x = Mean(2), torch.randn(10, 2)
    losses = epochs(core, x, None, **OPTIONS)
    assert core.batches == []
    for done in (1, 2):
        next(losses)
        assert core.batches == [4, 3, 3] * done
    losses.close()
    assert core.training
    assert core.calibrated is None
    calibrate(core, x, None)
    assert core.calibrated is x


@pytest.mark.parametrize("shape", [(3,), (2, 5, 4)])
def test_blocks_join_results_of_any_shape(shape):
    core, x = Mean(shape).eval(), torch.randn(20_000 if len(shape) == 1 else 9000, *shape)
    core.centre.data += 1
    assert torch.equal(by_blocks(core.embed, x), x - 1)
    expected = (x.double() - 1).square().flatten(1).sum(dim=1)
    np.testing.assert_allclose(by_blocks(core.anomaly_score, x), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("n", "size", "cost", "blocks"),
    [
        (20_000, 3, None, [8192, 8192, 3616]),  # no more rows
        (20, 2**15, None, [8, 8, 4]),  # no more numbers
        (3, 2**19, None, [1, 1, 1]),  # but one row
        (100, 3, 2**12, [64, 36]),
        (1, 1, None, [1]),
    ],
)
def test_size_of_blocks(n, size, cost, blocks):
    seen = []
    by_blocks(lambda rows: seen.append(len(rows)) or rows[:, 0], torch.zeros(n, size), cost)
    assert seen == blocks


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    ("shape", "threads"), [((3,), 1), ((600,), 1), ((1, 8, 8), 1), ((1, 7, 73), 1), ((2, 16, 16), 2)]
)
def test_threads_within_and_after(shape, threads):
    with computing(torch.zeros(6, *shape)):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 2
    with pytest.raises(KeyError), computing(torch.zeros(6, *shape)):
        raise KeyError
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_many_blocks_are_divided_among_the_threads_there_were():
    x, meeting = torch.arange(16.0)[:, None], threading.Barrier(2)

    def function(rows):
        meeting.wait(10)  # two blocks are computed at a time, or this times out
        assert torch.get_num_threads() == 1
        assert not torch.is_grad_enabled()
        return 2 * rows

    with computing(x):
        assert torch.equal(by_blocks(function, x, 2**18), 2 * x)
    alone = []
    with computing(x):
        by_blocks(lambda rows: alone.append(threading.get_ident()) or rows, x[:15], 2**18)
        with pytest.raises(ZeroDivisionError):
            by_blocks(lambda rows: 1 // 0, x, 2**18)
    by_blocks(lambda rows: alone.append(threading.get_ident()) or rows, x, 2**18)  # not where all threads are torch's
    assert set(alone) == {threading.get_ident()}


@pytest.mark.usefixtures("two_threads")
def test_threads_of_blocks_that_overlap():
    x = torch.zeros(6, 3)
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))

    def first():
        with computing(x):
            first_is_in.set()
            assert second_is_in.wait(10)
        first_is_out.set()
        return torch.get_num_threads()

    def second():
        assert first_is_in.wait(10)
        with computing(x):
            second_is_in.set()
            assert first_is_out.wait(10)
            within = torch.get_num_threads()
        return within, torch.get_num_threads()

    with ThreadPoolExecutor(2) as pool:
        outer, inner = pool.submit(first), pool.submit(second)
        assert outer.result(20) == 2
        assert inner.result(20) == (1, 2)
    with ThreadPoolExecutor(1) as pool:  # a thread that is new
        assert pool.submit(torch.get_num_threads).result(10) == 2
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_larger_images_keep_all_threads_beside_a_table():
    inside, done = threading.Event(), threading.Event()

    def table():
        with computing(torch.zeros(6, 3)):
            inside.set()
            assert done.wait(10)

    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(table)
        assert inside.wait(10)
        with computing(torch.zeros(6, 1, 28, 28)):
            within = torch.get_num_threads()
        done.set()
        beside.result(20)
    assert within == 2
    assert torch.get_num_threads() == 2


def test_rows_of_images_and_convolutions_have_their_channels_last_in_memory(images, table):
    rows = images.astype(np.float32)
    placed = place(rows, torch.device("cpu"))
    np.testing.assert_array_equal(placed, rows)
    layers = [layer for layer in small(DHAG).fit(images).core_.modules() if isinstance(layer, nn.Conv2d)]
    for tensor in (placed, placed[[3, 1, 2]], *(layer.weight for layer in layers)):
        assert tensor.is_contiguous(memory_format=torch.channels_last)
    for channels in (1, 2):  # of grey images, whose one channel could be anywhere, torch takes the strides' word
        net = lenet((channels, 6, 5), 3)
        assert net[0](place(rows[:, :channels], torch.device("cpu"))).is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(place(table.astype(np.float32), torch.device("cpu")), table.astype(np.float32))


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_gradients_are_on_within(off):
    weight = torch.ones(3, requires_grad=True)
    with off():
        with computing(torch.zeros(2, 3)):
            (weight * torch.ones(3)).sum().backward()
        assert not torch.is_grad_enabled()
    assert weight.grad.tolist() == [1, 1, 1]
