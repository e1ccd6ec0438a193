from dataclasses import replace

import pytest

from actors.policies.placing import NO_MODEL, Decision, place
from actors.policies.roster import Roster
from actors.policies.routing import Requirements
from protocol.errors import Refused
from protocol.ids import ModelId, WorkerName
from protocol.routing import WhenCold
from protocol.workers import Announcement
from tests.policies.workforce import A, B, C, a_worker

AS_A = Requirements(kind="tts", language="en", model=A)
COLD = a_worker("cold", resident_models=())
"""Has model A, not in memory."""
WITH_B = a_worker("other", models=(B,), resident_models=(B,))
WITH_C = a_worker("third", models=(C,), resident_models=(C,))


def decided(
    *workers: Announcement,
    wanted: Requirements = AS_A,
    when_cold: WhenCold = "fallback",
    preferred: ModelId | None = B,
    unable: frozenset[WorkerName] = frozenset(),
) -> Decision:
    return place(Roster(workers), wanted, when_cold=when_cold, preferred=preferred, unable_to_load=unable)


def who(decision: Decision) -> tuple[str, str, str | None, str | None]:
    """Worker, model, instead of which, who loads that."""
    placement = decision.placement
    return placement.worker.name, placement.model, placement.instead_of, decision.load


@pytest.mark.parametrize("when_cold", ["wait", "fallback", "refuse"])
def test_a_model_in_memory_is_spoken_with_whatever_the_policy(when_cold: WhenCold) -> None:
    assert who(decided(COLD, a_worker("warm"), WITH_B, when_cold=when_cold)) == ("warm", A, None, None)


def test_a_cold_model_is_waited_for_where_it_is_best() -> None:
    assert who(decided(replace(COLD, name=WorkerName("busy"), sessions=3), COLD, WITH_B, when_cold="wait")) == (
        "cold",
        A,
        None,
        None,
    )


def test_a_cold_model_is_refused_with_who_could_load_it() -> None:
    with pytest.raises(Refused, match="cold could load it") as raised:
        decided(COLD, WITH_B, when_cold="refuse")
    assert raised.value.code == "model-not-resident"


def test_the_default_voice_speaks_while_a_model_is_loaded() -> None:
    assert who(decided(COLD, WITH_C, WITH_B)) == ("other", B, A, "cold")


def test_without_the_default_voice_a_model_of_the_worker_that_loads_speaks() -> None:
    loads = replace(COLD, models=(A, C), resident_models=(C,), sessions=1)
    assert who(decided(loads, replace(WITH_C, name=WorkerName("idle")))) == ("cold", C, A, "cold")


def test_else_any_model_speaks_that_knows_the_language() -> None:
    german = replace(WITH_C, name=WorkerName("german"), model_languages={C: ("de",)})
    assert who(decided(COLD, german, WITH_C)) == ("third", C, A, "cold")


def test_a_default_voice_of_another_language_is_none() -> None:
    assert who(decided(COLD, replace(WITH_B, model_languages={B: ("de",)}), WITH_C)) == ("third", C, A, "cold")


def test_a_fallback_can_what_was_asked_for() -> None:
    able = replace(WITH_C, capabilities=replace(WITH_C.capabilities, zero_shot=True))
    cold = replace(COLD, capabilities=able.capabilities)
    assert who(decided(cold, WITH_B, able, wanted=replace(AS_A, needs=("zero_shot",)))) == ("third", C, A, "cold")


def test_without_a_fallback_it_is_waited_for() -> None:
    assert who(decided(COLD)) == ("cold", A, None, None)
    assert who(decided(COLD, replace(WITH_B, state="draining"))) == ("cold", A, None, None)
    assert who(decided(COLD, replace(WITH_B, sessions=4))) == ("cold", A, None, None)


def test_a_full_worker_s_memory_helps_nobody() -> None:
    assert who(decided(COLD, a_worker("full", sessions=4), WITH_B)) == ("other", B, A, "cold")


def test_who_cannot_load_it_is_not_asked_but_the_next_best() -> None:
    unable = frozenset({WorkerName("cold")})
    also = replace(COLD, name=WorkerName("cold-too"), sessions=2)
    assert who(decided(COLD, also, WITH_B, unable=unable)) == ("other", B, A, "cold-too")
    assert who(decided(COLD, WITH_B, unable=unable)) == ("other", B, A, None)


def test_no_wish_gets_the_default_voice_and_any_other_if_that_cannot_be_had() -> None:
    nothing = replace(AS_A, model=None)
    assert who(decided(WITH_C, WITH_B, wanted=nothing)) == ("other", B, None, None)
    assert who(decided(WITH_C, replace(WITH_B, sessions=4), wanted=nothing)) == ("third", C, None, None)
    assert who(decided(WITH_C, wanted=nothing, preferred=None)) == ("third", C, None, None)


def test_a_cold_default_voice_is_stood_in_for_too() -> None:
    cold_default = replace(WITH_B, resident_models=())
    assert who(decided(cold_default, WITH_C, wanted=replace(AS_A, model=None))) == ("third", C, B, "other")


def test_a_wish_that_nobody_can_grant_is_refused_and_not_replaced() -> None:
    with pytest.raises(Refused, match="no-such-model"):
        decided(WITH_B)


def test_who_probably_has_no_place_left_is_asked_rather_than_refused() -> None:
    roster = Roster([a_worker("warm", capacity=1), COLD])
    roster.placed(WorkerName("warm"), 0.0)
    assert place(roster, AS_A, when_cold="refuse").placement.worker.name == "warm"


def test_an_ear_is_placed_without_a_model_of_its_own() -> None:
    ear = a_worker("ear", kind="asr", models=(), resident_models=())
    decision = decided(ear, wanted=Requirements(kind="asr", language="en"))
    assert (decision.placement.worker.name, decision.placement.model) == ("ear", NO_MODEL)
