"""Losses, schedules and files of the trainings; needs the extra ``train``."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is an extra")
onnx = pytest.importorskip("onnx", reason="onnx is an extra")


@pytest.fixture(scope="module")
def train():
    from scripts.landmarks import train as landmark_training

    return landmark_training


@pytest.fixture(scope="module")
def loss(train):
    from scripts.labels.consensus import DENSE

    return train.CurveLoss(range(DENSE.points), train.point_weights())


def moved(face, index, shift):
    wanted = torch.from_numpy(face.dense[None] / 256)
    found = wanted.clone()
    found[0, index] += torch.tensor(shift, dtype=found.dtype)
    return found, wanted


def test_sliding_along_a_curve_costs_less_than_leaving_it(loss, face):
    lid = 45  # the middle of the left lower one, which is about level there
    along, across = (loss(*moved(face, lid, shift))[0, lid] for shift in ([0.01, 0.0], [0.0, 0.01]))
    assert 0.2 < along / across < 0.5


def test_a_corner_may_not_slide(loss, face):
    corner = 41
    along, across = (
        loss(*moved(face, corner, shift))[0, corner] for shift in ([0.01, 0.0], [0.0, 0.01])
    )
    assert along == pytest.approx(float(across), rel=0.05)


def test_no_error_no_loss(loss, face):
    assert loss(*moved(face, 0, [0.0, 0.0])).abs().max() == 0


def test_the_expected_error_is_learnt_from_the_errors_and_changes_no_landmark(train, face):
    wanted = torch.from_numpy(face.dense[None] / 256)
    found = (wanted + 0.02).requires_grad_()
    seen = torch.ones(1, wanted.shape[1], dtype=torch.bool)
    right = torch.full(seen.shape, 0.02 * 2**0.5, requires_grad=True)
    train.spread_loss(right, found, wanted, seen).sum().backward()
    assert found.grad is None
    assert right.grad.abs().max() < 1e-3  # no reason to say anything else


def test_while_the_rate_is_level_it_does_not_depend_on_the_number_of_steps():
    from scripts.training.run import make_schedule

    def rates(steps):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        schedule = make_schedule(optimizer, steps, warmup=10)
        found = []
        for _ in range(steps):
            found.append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
        return np.array(found)

    short, long = rates(100), rates(140)
    assert (short[:50] == long[:50]).all()
    assert short[10:50].tolist() == [1.0] * 40
    assert (np.diff(short[50:]) <= 0).all()
    assert short[-1] < 0.01


class Scaled(torch.nn.Module):
    """One convolution whose weights are all of one size."""

    def __init__(self, size: float) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 8, 3, bias=False)
        torch.nn.init.constant_(self.layer.weight, size)

    def forward(self, pictures):
        return self.layer(pictures)


def written(size, path):
    from scripts.training.shipped_models import write_onnx

    write_onnx(Scaled(size).eval(), torch.zeros(1, 3, 8, 8), ["pictures", "maps"], path)
    return onnx.load(path).graph.initializer


def test_weights_are_halved_if_they_can_be(tmp_path):
    [weights] = written(65504.0, tmp_path / "a.onnx")
    assert onnx.numpy_helper.to_array(weights).dtype == np.float16


def test_weights_too_large_for_half_precision_stay_as_they_are(tmp_path):
    [weights] = written(70000.0, tmp_path / "a.onnx")
    values = onnx.numpy_helper.to_array(weights)
    assert values.dtype == np.float32
    assert (values == 70000).all()


@pytest.mark.parametrize("size", [np.inf, np.nan])
def test_a_file_with_weights_that_are_not_finite_is_never_written(tmp_path, size):
    with pytest.raises(ValueError, match="not finite"):
        written(float(size), tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()


@pytest.mark.parametrize("name", ["eyes", "mouth"])
def test_a_close_look_gives_each_patch_its_points(name):
    from scripts.close_look.data import RECIPES

    recipe = RECIPES[name]
    groups, count = recipe.part.points.shape
    network = recipe.network(torch.zeros(1, count, 2)).eval()
    side = recipe.network.side
    patches = torch.zeros(3, groups, side, side, 3, dtype=torch.uint8)
    with torch.inference_mode():
        assert network(patches).shape == (3, groups, count, 2)


def updates(network, count):
    """Move the weights by chance `count` times; give them and the statistics each time."""
    rng = torch.Generator().manual_seed(0)
    for _ in range(count):
        network(torch.randn((4, 3, 5, 5), generator=rng))
        with torch.no_grad():
            for weights in network.parameters():
                weights += torch.randn(weights.shape, generator=rng)
        yield {name: value.clone() for name, value in network.state_dict().items()}


@pytest.fixture
def averaged():
    """A network, its average after three updates, and what the states were."""
    from scripts.training.run import make_average

    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
    average, states = make_average(network), []
    for state in updates(network, 3):
        average.update_parameters(network)
        states.append(state)
    return network, average, states


def test_the_average_follows_weights_and_statistics(averaged):
    _, average, (first, second, third) = averaged
    for name, value in average.module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            assert value == third[name] == 3
            continue
        after_two = first[name] + (1 - 2 / 11) * (second[name] - first[name])
        expected = after_two + (1 - 3 / 12) * (third[name] - after_two)
        torch.testing.assert_close(value, expected)


def test_a_checkpoint_gives_its_averaged_weights(averaged, tmp_path):
    from scripts.training.run import TrainingRun
    from scripts.training.shipped_weights import load_weights

    network, average, _ = averaged
    TrainingRun(tmp_path, {"network": network, "average": average}).finish_epoch({"epoch": 1})
    fresh = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
    load_weights(fresh, tmp_path / "checkpoint.pt", torch.zeros(1, 3, 5, 5))
    for name, value in fresh.state_dict().items():
        torch.testing.assert_close(value, average.module.state_dict()[name])
