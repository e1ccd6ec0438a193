"""Models that share a base: by examples. The properties are in test_residency_machine."""

import pytest

from actors.policies.residency import Residency
from actors.policies.resident import Evict, Limits, Load, Need, Refuse
from protocol.ids import Millis, ModelId

BASE, ADA, BEN, OTHER = (ModelId(name) for name in ("base", "ada", "ben", "other"))
NEEDS = {
    BASE: Need(0, BASE, 700),
    ADA: Need(50, BASE, 700),
    BEN: Need(60, BASE, 700),
    OTHER: Need(0, OTHER, 300),
}


class Told:
    """A residency with a base and two adapters of it, and a model that shares nothing."""

    def __init__(self, **limits: int) -> None:
        self.policy = Residency(NEEDS, limits=Limits(**{"resident_cap": 9, **limits}))
        self.now = Millis(0)
        self.evicted: list[ModelId] = []

    def comes(self, *models: ModelId, measured: int = 0, hold: int | None = None) -> "Told":
        for model in models:
            self.now = Millis(self.now + 1)
            with_base = not any(
                self.policy[other].base == self.policy[model].base for other in self.policy.at("resident", "leaving")
            )
            if hold is None:
                self.policy.load(model, self.now)
            else:
                self.policy.hold(model, hold, self.now)
            self.carry_out()
            self.policy.loaded(model, self.now, measured, with_base=with_base)
            self.carry_out()
        return self

    def goes(self, *models: ModelId) -> "Told":
        for model in models:
            assert self.policy.unload(model)
            self.carry_out()
        return self

    def carry_out(self) -> None:
        """Whatever is evicted gives its memory back at once."""
        while commands := self.policy.due(self.now):
            for command in commands:
                if isinstance(command, Evict):
                    self.evicted.append(command.model)
                    self.policy.gone(command.model)

    def shown(self, *models: ModelId) -> list[int]:
        return [self.policy.footprint.shown_mb(model) for model in models]


def test_a_base_is_counted_once_however_many_stand_on_it() -> None:
    told = Told()
    assert told.comes(ADA).policy.footprint.total_mb == 750
    assert told.comes(BASE).policy.footprint.total_mb == 750
    assert told.comes(BEN).policy.footprint.total_mb == 810
    assert told.comes(OTHER).policy.footprint.total_mb == 1_110


def test_whoever_goes_frees_its_own_and_the_last_one_the_base() -> None:
    told = Told().comes(ADA, BASE, BEN)
    assert told.goes(ADA).policy.footprint.total_mb == 760
    assert told.goes(BASE).policy.footprint.total_mb == 760
    assert told.goes(BEN).policy.footprint.total_mb == 0


def test_a_base_is_counted_from_the_beginning_of_a_load_to_the_end_of_leaving() -> None:
    told = Told()
    told.policy.load(ADA, told.now)
    assert told.policy.footprint.total_mb == 0
    assert told.policy.due(told.now) == [Load(ADA)]
    assert told.policy.footprint.total_mb == 750
    told.policy.loaded(ADA, told.now)
    told.policy.unload(ADA)
    assert told.policy.due(told.now) == [Evict(ADA, "asked")]
    assert told.policy.footprint.total_mb == 750
    told.policy.gone(ADA)
    assert told.policy.footprint.total_mb == 0


def test_each_model_is_shown_with_its_own_and_the_base_with_what_it_shares() -> None:
    told = Told().comes(ADA, BEN)
    assert told.shown(BASE, ADA, BEN, OTHER) == [700, 50, 60, 300]
    assert [told.policy.footprint.sharing(model) for model in (BASE, ADA, BEN, OTHER)] == [2, 0, 0, 0]
    assert told.goes(ADA).comes(BASE).policy.footprint.sharing(BASE) == 1


def test_the_first_load_measures_base_and_adapter_and_a_later_one_the_adapter() -> None:
    told = Told().comes(ADA, measured=1_050)
    assert told.shown(BASE, ADA) == [1_000, 50], "what the adapter's estimate does not explain is the base's"
    told.comes(BEN, measured=90)
    assert told.shown(BASE, BEN) == [1_000, 90]
    assert told.policy.footprint.total_mb == 1_140
    told.comes(BASE, measured=4)
    assert told.policy.footprint.total_mb == 1_140 + 4, "what a voice of the base's own takes beside it"


def test_what_an_adapter_turns_out_to_take_is_no_longer_taken_for_the_base_s() -> None:
    told = Told().comes(ADA, measured=1_050).comes(BEN)
    told.goes(ADA).comes(ADA, measured=250)
    assert told.shown(BASE, ADA) == [800, 250]
    assert told.goes(BEN).policy.footprint.total_mb == 1_050, "as measured when they came together"


def test_what_was_measured_of_a_base_is_remembered_when_it_has_gone() -> None:
    told = Told(memory_cap_mb=1_100).comes(ADA, measured=1_050).goes(ADA)
    assert told.comes(BEN).policy.footprint.total_mb == 1_060
    told.goes(BEN).comes(ADA, measured=760)
    assert told.shown(BASE) == [1_000], "the most so far"


def test_less_than_half_of_a_base_s_estimate_is_not_believed() -> None:
    assert Told().comes(ADA, measured=60).shown(BASE, ADA) == [350, 50]


def test_less_than_the_adapter_alone_says_nothing_of_the_base() -> None:
    assert Told().comes(ADA, measured=30).shown(BASE, ADA) == [700, 50]


def test_an_adapter_of_a_base_in_use_needs_room_for_itself_only() -> None:
    told = Told(memory_cap_mb=800).comes(ADA, hold=1)
    told.policy.hold(OTHER, 2, told.now)
    assert told.policy.due(told.now) == [
        Refuse(OTHER, "other needs 300 MB of memory_cap_mb 800, of which 750 MB are in use")
    ]
    told.policy.hold(BEN, 3, told.now)
    assert told.policy.due(told.now) == [
        Refuse(BEN, "ben needs 60 MB of memory_cap_mb 800, of which 750 MB are in use")
    ]
    told.policy.hold(BASE, 4, told.now)
    assert told.policy.due(told.now) == [Load(BASE)]


def test_for_another_model_all_that_stand_on_an_idle_base_have_to_go() -> None:
    told = Told(memory_cap_mb=900).comes(ADA, BASE, BEN)
    told.comes(OTHER, hold=1)
    assert told.evicted == [ADA, BEN, BASE], "the default last"
    assert told.policy.footprint.total_mb == 300


def test_a_base_of_a_model_in_use_stays_though_the_one_that_brought_it_goes() -> None:
    told = Told(memory_cap_mb=800).comes(ADA).comes(BASE, hold=1)
    told.comes(BEN, hold=2)
    assert told.evicted == [ADA]
    assert told.policy.footprint.total_mb == 760
    assert told.policy.at("resident") == [BASE, BEN]


def test_a_load_waits_for_a_base_that_is_just_leaving() -> None:
    told = Told().comes(ADA)
    told.policy.unload(ADA)
    told.policy.hold(BEN, 1, told.now)
    assert told.policy.due(told.now) == [Evict(ADA, "asked")]
    told.policy.gone(ADA)
    assert told.policy.due(told.now) == [Load(BEN)]


def test_it_does_not_wait_while_another_one_keeps_the_base() -> None:
    told = Told().comes(ADA, BASE)
    told.policy.unload(ADA)
    told.policy.hold(BEN, 1, told.now)
    assert told.policy.due(told.now) == [Evict(ADA, "asked"), Load(BEN)]


def test_packs_that_are_read_anew_change_what_stands_on_what_when_it_has_gone() -> None:
    told = Told().comes(ADA, BEN)
    told.policy.know({**NEEDS, ADA: Need(80, OTHER, 300)})
    assert told.policy.footprint.total_mb == 810, "what is in memory is what was loaded"
    assert told.goes(ADA).comes(ADA).policy.footprint.total_mb == 760 + 380


def test_a_base_whose_pack_has_gone_is_counted_as_long_as_it_is_used() -> None:
    told = Told().comes(ADA, hold=1)
    told.policy.know({ADA: Need(50, BASE, 0)})
    told.carry_out()
    assert told.policy.footprint.total_mb == 750


@pytest.mark.parametrize("first", [BASE, ADA])
def test_a_new_adapter_finds_the_base_that_was_a_voice_of_its_own_before(first: ModelId) -> None:
    told = Told()
    told.policy.know({model: NEEDS[model] for model in (BASE, OTHER, ADA)})
    told.comes(first)
    told.policy.know(NEEDS)
    assert told.comes(BEN).policy.footprint.total_mb == 760 + NEEDS[first].own_mb
