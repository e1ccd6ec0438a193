"""A thousand workers, a hundred thousand sessions, several routers that see everything up to two seconds late."""

import random
from statistics import mean, pstdev

import pytest

from protocol.ids import ModelId, WorkerName
from tests.policies.routing_world import DEFAULT, SimRouter, SimWorker, Tally, World

pytestmark = pytest.mark.timeout(600)
"""Ten seconds of computing; on a machine that is busy otherwise, a minute."""

WORKERS = 1_000
ROUTERS = 4
MODELS = tuple(ModelId(f"model-{number:02}") for number in range(20))
CAPACITY = 8
HOLD_S = 6.0


def alike(number: int, **changes: object) -> SimWorker:
    worker = SimWorker(
        name=WorkerName(f"tts-{number:04}"), models=(DEFAULT,), resident=(DEFAULT,), capacity=CAPACITY, true_p50_ms=60.0
    )
    for key, value in changes.items():
        setattr(worker, key, value)
    return worker


def mixed(number: int) -> SimWorker:
    """Of one of three speeds and four sizes, with five models of twenty, of which two are in memory."""
    models = tuple(MODELS[(number * 7 + step * 3) % len(MODELS)] for step in range(5))
    return alike(
        number,
        models=models,
        resident=models[:2],
        capacity=(4, 6, 10, 12)[number % 4],
        true_p50_ms=(40.0, 120.0, 260.0)[number % 3],
    )


def routers(*, forgetful: bool = False) -> list[SimRouter]:
    return [SimRouter(1_000 * number, forgetful=forgetful) for number in range(ROUTERS)]


def per_second(load: float, workers: list[SimWorker]) -> float:
    """Arrivals that fill this share of all places."""
    return load * sum(worker.capacity for worker in workers) / HOLD_S


def any_model(chance: random.Random) -> ModelId:
    return chance.choice(MODELS)


def spread(tally: Tally) -> float:
    """Standard deviation between workers of the share of taken places, averaged over time once it is steady."""
    return mean(pstdev(loads) for loads in tally.load_at_times[-20:])


@pytest.fixture(scope="module")
def market() -> World:
    """A hundred thousand sessions at 80 % of all places; a hundred workers come half-way, unmeasured and empty."""
    workers = [mixed(number) for number in range(WORKERS - 100)]
    world = World(workers, routers())
    newcomers = [mixed(number) for number in range(WORKERS - 100, WORKERS)]
    for worker in newcomers:
        world.join(worker, 30.0)
    world.run(100_000, per_s=per_second(0.8, [*workers, *newcomers]), hold_s=HOLD_S, wish=any_model)
    return world


def test_nobody_is_refused_while_there_is_a_place(market: World) -> None:
    tally = market.tally
    assert tally.requests == 100_000
    assert tally.refused == []
    assert tally.begun == 100_000


def test_no_worker_is_ever_overfilled_and_few_are_asked_in_vain(market: World) -> None:
    assert all(worker.most <= worker.capacity for worker in market.workers.values())
    assert market.tally.tries_refused < market.tally.requests


def test_every_worker_gets_work_the_cold_and_the_new_as_well(market: World) -> None:
    began = [worker.began / worker.capacity for worker in market.workers.values()]
    assert len(began) == WORKERS
    assert min(began) > 1.0
    assert market.tally.loads > 0


def test_the_busiest_worker_is_not_far_from_the_average(market: World) -> None:
    assert 0.6 < mean(market.tally.load_at_times[-1]) < 0.9
    assert spread(market.tally) < 0.2


def test_workers_that_are_alike_carry_alike() -> None:
    world = World([alike(number) for number in range(200)], routers())
    tally = world.run(
        20_000, per_s=per_second(0.5, list(world.workers.values())), hold_s=HOLD_S, wish=lambda _: DEFAULT
    )
    began = [worker.began for worker in world.workers.values()]
    assert tally.refused == []
    assert tally.tries_refused == 0
    assert pstdev(began) < 0.1 * mean(began)
    assert spread(tally) < 0.2


def test_without_counting_what_it_has_placed_a_router_sends_everybody_to_the_same_worker() -> None:
    """What the counting is for, and that this simulation would notice if it were gone."""
    tries = {}
    for forgetful in (False, True):
        world = World([alike(number) for number in range(100)], routers(forgetful=forgetful))
        load = per_second(0.8, list(world.workers.values()))
        tries[forgetful] = world.run(3_000, per_s=load, hold_s=HOLD_S, wish=lambda _: DEFAULT).tries_refused
    assert tries[True] > 3 * tries[False]


def test_a_worker_that_nobody_has_measured_is_tried_but_not_flooded() -> None:
    known = [alike(number, began=10) for number in range(50)]
    new = alike(999, name=WorkerName("new"), true_p50_ms=60.0)
    world = World(known, routers())
    world.join(new, 10.0)
    first: list[int] = []
    world._at(11.9, lambda: first.append(new.began))
    world.run(2_500, per_s=per_second(0.5, known), hold_s=HOLD_S, wish=lambda _: DEFAULT)
    assert 1 <= first[0] <= 2 * ROUTERS
    assert new.began > first[0]


def test_when_more_come_than_there_are_places_the_places_are_filled_and_the_others_refused() -> None:
    workers = [mixed(number) for number in range(60)]
    world = World(workers, routers())
    tally = world.run(3_000, per_s=per_second(1.3, workers), hold_s=HOLD_S, wish=any_model)
    assert set(tally.refused) <= {"no-capacity", "no-other-worker"}
    assert tally.refused
    assert tally.refused_with_places_known == 0
    assert all(worker.most <= worker.capacity for worker in workers)
    assert mean(mean(loads) for loads in tally.load_at_times[-10:]) > 0.9
    assert tally.begun + len(tally.refused) == tally.requests
