"""Which models stay in memory: by examples. The properties are in test_residency_machine."""

from typing import Any

from actors.policies.residency import Residency
from actors.policies.resident import Command, Evict, Limits, Load, Need, Refuse
from protocol.ids import Millis, ModelId

A, B, C = ModelId("a"), ModelId("b"), ModelId("c")


class Told:
    """A residency, and what it was told and says."""

    def __init__(self, sizes: dict[ModelId, int] | None = None, **limits: Any) -> None:
        needs = {model: Need(size) for model, size in (sizes or {A: 100, B: 100, C: 100}).items()}
        self.policy = Residency(needs, limits=Limits(**limits))
        self.now = Millis(0)

    def wait(self, ms: int) -> "Told":
        self.now = Millis(self.now + ms)
        return self

    def hold(self, model: ModelId, hold: int = 1) -> list[Command]:
        assert self.policy.hold(model, hold, self.now) == 0
        return self.due()

    def release(self, model: ModelId, hold: int = 1) -> list[Command]:
        self.policy.release(model, hold, self.now)
        return self.due()

    def load(self, model: ModelId) -> list[Command]:
        assert self.policy.load(model, self.now) == 0
        return self.due()

    def loaded(self, model: ModelId, measured_mb: int = 0) -> list[Command]:
        self.policy.loaded(model, self.now, measured_mb)
        return self.due()

    def failed(self, model: ModelId) -> list[Command]:
        self.policy.failed(model, self.now, "no weights")
        return self.due()

    def gone(self, model: ModelId) -> list[Command]:
        self.policy.gone(model)
        return self.due()

    def due(self) -> list[Command]:
        return self.policy.due(self.now)

    def has(self, *models: ModelId) -> "Told":
        """These are resident and idle, used one millisecond after the other."""
        for model in models:
            self.wait(1).load(model)
            self.loaded(model)
        return self


def test_two_who_want_one_model_share_its_load() -> None:
    told = Told()
    assert told.hold(A, 1) == [Load(A)]
    assert told.hold(A, 2) == []
    assert told.load(A) == []


def test_loads_start_in_the_order_in_which_they_were_asked_for() -> None:
    told = Told(max_parallel_loads=2)
    told.policy.hold(C, 1, told.now)
    told.policy.hold(A, 2, told.now)
    told.policy.hold(B, 3, told.now)
    assert told.due() == [Load(C), Load(A)]
    assert told.policy.waiting == (B,)
    assert told.loaded(A) == [Load(B)]


def test_who_gives_up_before_the_load_has_begun_is_not_served() -> None:
    told = Told()
    told.hold(A, 1)
    told.hold(B, 2)
    told.release(B, 2)
    assert told.loaded(A) == []


def test_an_idle_model_goes_when_both_its_times_are_over() -> None:
    told = Told(ttl_ms=1_000, min_residency_ms=3_000).has(A, B)
    assert told.policy.deadline() == 2 + 3_000
    assert told.wait(2_999).due() == []
    assert told.wait(1).due() == [Evict(B, "ttl")]
    told.gone(B)
    told.hold(B)
    told.loaded(B)
    told.wait(60_000).release(B)
    assert told.wait(999).due() == []
    assert told.wait(1).due() == [Evict(B, "ttl")]


def test_the_default_model_does_not_go_by_time() -> None:
    told = Told(ttl_ms=0, min_residency_ms=0).has(A)
    assert told.policy.deadline() is None
    assert told.wait(86_400_000).due() == []


def test_above_the_cap_the_least_recently_used_goes_and_the_default_last() -> None:
    told = Told(resident_cap=2, min_residency_ms=0).has(A, B)
    told.wait(1).hold(A)
    told.wait(1).release(A)
    assert told.hold(C) == [Evict(B, "cap")]
    assert told.gone(B) == [Load(C)]
    told.loaded(C)
    assert told.hold(B, 2) == [Evict(A, "cap")], "C is in use: even the default goes"


def test_a_model_past_its_minimum_residency_goes_before_one_that_is_not() -> None:
    told = Told(resident_cap=2, min_residency_ms=1_000).has(B)
    told.wait(1_500).has(C)
    told.hold(B)
    told.wait(1).release(B)
    assert told.hold(A) == [Evict(B, "cap")], "though C was used longer ago"


def test_a_waiting_load_outranks_the_minimum_residency() -> None:
    told = Told(resident_cap=1, min_residency_ms=1_000_000).has(B)
    assert told.hold(C) == [Evict(B, "cap")]


def test_while_all_are_in_use_one_more_is_loaded_for_who_will_use_it_and_the_released_one_goes() -> None:
    told = Told(resident_cap=1)
    told.hold(A)
    told.loaded(A)
    assert told.hold(B, 2) == [Load(B)]
    told.loaded(B)
    assert told.release(A) == [Evict(A, "cap")]


def test_while_all_are_in_use_nothing_is_loaded_in_the_background() -> None:
    told = Told(resident_cap=1)
    told.hold(A)
    told.loaded(A)
    assert told.load(B) == [Refuse(B, "b has no place: resident_cap is 1, and as many models are in use")]


def test_the_memory_cap_does_not_yield_to_use() -> None:
    told = Told({A: 100, B: 150}, memory_cap_mb=200)
    told.hold(A)
    told.loaded(A)
    assert told.hold(B, 2) == [Refuse(B, "b needs 150 MB of memory_cap_mb 200, of which 100 MB are in use")]
    assert told.release(A) == []
    assert told.hold(B, 3) == [Evict(A, "memory")]
    assert told.gone(A) == [Load(B)]


def test_nobody_is_evicted_for_a_load_that_is_refused() -> None:
    told = Told({A: 100, B: 100, C: 150}, memory_cap_mb=200, max_parallel_loads=2)
    told.hold(A)
    told.loaded(A)
    told.load(B)
    told.loaded(B)
    assert [type(command) for command in told.hold(C, 2)] == [Refuse]
    assert told.policy.at("resident") == [A, B]


def test_a_load_waits_for_one_in_the_background_that_it_can_replace() -> None:
    told = Told({A: 100, B: 100}, memory_cap_mb=150, max_parallel_loads=2)
    told.load(A)
    assert told.hold(B) == []
    assert told.loaded(A) == [Evict(A, "memory")]
    assert told.gone(A) == [Load(B)]


def test_a_model_that_turns_out_larger_drives_out_the_idle_ones() -> None:
    told = Told({A: 100, B: 100, C: 100}, memory_cap_mb=300).has(B)
    told.hold(A)
    assert told.loaded(A, measured_mb=250) == [Evict(B, "memory")]


def test_a_model_that_alone_exceeds_the_cap_is_not_loaded_again_and_again() -> None:
    told = Told({A: 100, B: 100}, memory_cap_mb=200)
    told.load(B)
    assert told.loaded(B, measured_mb=250) == [Evict(B, "memory")]
    told.gone(B)
    assert [type(command) for command in told.load(B)] == [Refuse]


def test_a_failed_load_is_not_tried_again_before_a_growing_pause() -> None:
    told = Told(first_pause_ms=1_000, longest_pause_ms=3_000)
    for pause in (1_000, 2_000, 3_000, 3_000):
        told.hold(A)
        told.failed(A)
        assert told.policy.hold(A, 9, told.now) == told.policy.load(A, told.now) == pause
        told.wait(pause - 1)
        assert told.policy.hold(A, 9, told.now) == 1
        assert told.due() == []
        told.wait(1)
    told.hold(A)
    told.loaded(A)
    assert told.policy[A].failures == 0


def test_a_failed_load_makes_room_for_the_next_one() -> None:
    told = Told()
    told.hold(A)
    told.hold(B)
    assert told.failed(A) == [Load(B)]


def test_a_renewed_model_goes_when_nobody_uses_it_and_is_loaded_anew() -> None:
    told = Told()
    told.hold(A)
    told.loaded(A)
    told.policy.renew(A)
    assert told.due() == []
    assert told.release(A) == [Evict(A, "reload")]
    assert told.gone(A) == [Load(A)]
    assert told.loaded(A) == []


def test_a_model_without_a_pack_goes_when_nobody_uses_it_and_is_forgotten() -> None:
    told = Told()
    told.hold(B)
    told.loaded(B)
    told.policy.know({A: Need(100)})
    assert told.due() == []
    assert told.release(B) == [Evict(B, "reload")]
    assert told.gone(B) == []
    assert told.policy.known == [A]
    assert told.policy.at("absent") == [A]


def test_who_waits_for_a_model_whose_pack_has_gone_is_refused() -> None:
    told = Told()
    told.hold(A)
    told.hold(B)
    told.policy.know({A: Need(100)})
    assert told.due() == [Refuse(B, "the voice pack of b has gone")]


def test_a_model_that_dies_has_no_users_and_may_be_loaded_again_at_once() -> None:
    told = Told()
    told.hold(A)
    told.loaded(A)
    told.gone(A)
    assert told.policy[A].holds == set()
    told.release(A)
    assert told.hold(A, 2) == [Load(A)]


def test_only_an_idle_model_is_unloaded_on_demand() -> None:
    told = Told()
    told.hold(A)
    assert not told.policy.unload(A)
    told.loaded(A)
    assert not told.policy.unload(A)
    told.release(A)
    assert told.policy.unload(A)
    assert told.due() == [Evict(A, "asked")]
    assert told.policy.unload(A), "it goes already"
    assert told.due() == []
