"""Schedules of learning rates from Python; their formulas are tested in C++."""

import gc
import math

import pytest

import taut
from taut.optim import lr_scheduler as schedules


def sgd(lr=0.1, **options):
    parameters = [taut.ones(2, requires_grad=True), taut.ones(3, requires_grad=True)]
    return taut.optim.SGD([{"params": parameters[:1]}, {"params": parameters[1:], "lr": lr / 10}], lr=lr, **options)


MAKERS = {
    "LambdaLR": lambda o: schedules.LambdaLR(o, lr_lambda=[lambda epoch: 0.9**epoch, lambda epoch: 1 / (epoch + 1)]),
    "MultiplicativeLR": lambda o: schedules.MultiplicativeLR(o, lambda epoch: 0.95),
    "StepLR": lambda o: schedules.StepLR(o, 3, gamma=0.5),
    "MultiStepLR": lambda o: schedules.MultiStepLR(o, milestones=[2, 5, 5]),
    "ExponentialLR": lambda o: schedules.ExponentialLR(o, 0.8),
    "ConstantLR": lambda o: schedules.ConstantLR(o, total_iters=4),
    "LinearLR": lambda o: schedules.LinearLR(o),
    "PolynomialLR": lambda o: schedules.PolynomialLR(o, 6, power=2.0),
    "CosineAnnealingLR": lambda o: schedules.CosineAnnealingLR(o, T_max=5, eta_min=0.001),
    "CosineAnnealingWarmRestarts": lambda o: schedules.CosineAnnealingWarmRestarts(o, 3, T_mult=2),
    "OneCycleLR": lambda o: schedules.OneCycleLR(o, max_lr=0.3, total_steps=12),
    "SequentialLR": lambda o: schedules.SequentialLR(
        o, schedulers=[schedules.ConstantLR(o, 0.1, total_iters=2), schedules.ExponentialLR(o, 0.9)], milestones=[3]
    ),
    "ChainedScheduler": lambda o: schedules.ChainedScheduler([schedules.ConstantLR(o, 0.1, 2), schedules.ExponentialLR(o, 0.9)]),
}


def test_every_schedule_is_tried_here():
    assert set(MAKERS) | {"LRScheduler", "ReduceLROnPlateau"} == set(schedules.__all__)


@pytest.mark.parametrize("name", MAKERS)
def test_rates_and_states(name, tmp_path):
    optimizer = sgd(momentum=0.9)
    schedule = MAKERS[name](optimizer)
    assert isinstance(schedule, schedules.LRScheduler) and schedule.optimizer is optimizer and len(schedule.base_lrs) == 2
    rates = [list(schedule.get_last_lr())]
    for step in range(10):
        optimizer.step()
        schedule.step()
        rates.append(list(schedule.get_last_lr()))
        assert [group["lr"] for group in optimizer.param_groups] == rates[-1]
        if step == 4:  # and goes on in another process
            taut.save({"optimizer": optimizer, "schedule": schedule.state_dict()}, tmp_path / "s")
            state = taut.load(tmp_path / "s")
            optimizer = sgd(momentum=0.9)
            schedule = MAKERS[name](optimizer)
            optimizer.load_state_dict(state["optimizer"])
            schedule.load_state_dict(state["schedule"])
    plain_optimizer = sgd(momentum=0.9)
    plain = MAKERS[name](plain_optimizer)
    expected = [list(plain.get_last_lr())]
    for _ in range(10):
        plain.step()
        expected.append(list(plain.get_last_lr()))
    assert rates == expected and len({tuple(rate) for rate in rates}) > 1


def test_known_rates():
    schedule = schedules.StepLR(sgd(1.0), step_size=2, gamma=0.5)
    rates = []
    for _ in range(5):
        rates.append(schedule.get_last_lr()[0])
        schedule.step()
    assert rates == [1, 1, 0.5, 0.5, 0.25] and schedule.last_epoch == 5
    cosine = schedules.CosineAnnealingLR(sgd(1.0), T_max=4)
    cosine.step()
    assert math.isclose(cosine.get_last_lr()[0], 0.5 + 0.5 * math.cos(math.pi / 4))


def test_plateau():
    optimizer = sgd(1.0)
    schedule = schedules.ReduceLROnPlateau(optimizer, "max", factor=0.5, patience=1)
    for metric in [1.0, taut.tensor(2.0), 2, 1.5, 1.0]:
        schedule.step(metric)
    assert optimizer.param_groups[0]["lr"] == 0.5 and schedule.best == 2 and schedule.num_bad_epochs == 1
    other = schedules.ReduceLROnPlateau(sgd(1.0), "max")
    other.load_state_dict(schedule.state_dict())
    assert other.best == 2
    with pytest.raises(ValueError, match="mode"):
        schedules.ReduceLROnPlateau(optimizer, "most")


def test_schedules_written_in_python():
    class Halving(schedules.LRScheduler):
        def __init__(self, optimizer, every):
            self.every = every
            super().__init__(optimizer)

        def get_lr(self):
            return [base * 0.5 ** (self.last_epoch // self.every) for base in self.base_lrs]

    optimizer = sgd(1.0)
    schedule = Halving(optimizer, 2)
    assert optimizer.param_groups[0]["lr"] == 1
    both = schedules.SequentialLR(optimizer, [schedule, schedules.ExponentialLR(optimizer, 0.1)], [4])
    del schedule
    gc.collect()
    rates = []
    for _ in range(6):
        rates.append(optimizer.param_groups[0]["lr"])
        both.step()
    assert rates == pytest.approx([1, 1, 0.5, 0.5, 1, 0.1])
    with pytest.raises(NotImplementedError, match="get_lr"):
        schedules.LRScheduler(optimizer)


def test_the_optimizer_stays_while_its_schedule_does():
    schedule = schedules.LinearLR(sgd(1.0))
    gc.collect()
    schedule.step()
    assert schedule.optimizer.param_groups[0]["lr"] == schedule.get_last_lr()[0]


def test_errors():
    with pytest.raises(ValueError):
        schedules.OneCycleLR(sgd(), max_lr=1.0)
    one = schedules.OneCycleLR(sgd(momentum=0.5), max_lr=1.0, total_steps=2)
    one.step()
    with pytest.raises(ValueError):
        one.step()
    with pytest.raises(NotImplementedError, match="load_state_dict"):
        schedules.StepLR(sgd(), 3, last_epoch=4)
    with pytest.raises(TypeError, match="lr_lambda"):
        schedules.LambdaLR(sgd(), 0.5)
    with pytest.raises(RuntimeError, match="lambda failed"):
        schedules.LambdaLR(sgd(), fail)
    with pytest.raises(ValueError, match="parameter groups"):
        schedules.StepLR(sgd(), 3).load_state_dict({"last_epoch": 1, "base_lrs": [0.1], "last_lr": [0.1]})


def fail(epoch):
    raise RuntimeError("lambda failed")
