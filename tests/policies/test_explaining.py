from dataclasses import replace

import pytest

from actors.policies.explaining import MOST, explain
from actors.policies.placing import place
from actors.policies.roster import Roster
from actors.policies.routing import Requirements
from protocol.codec import MAX_MESSAGE_BYTES, encode
from protocol.errors import Refused
from protocol.ids import WorkerName
from protocol.routing import Candidate, Routed, WhenCold
from protocol.workers import Announcement, Capabilities
from tests.policies.workforce import A, B, a_worker

AS_A = Requirements(kind="tts", language="en", model=A)
BEST = a_worker("best", p50=40.0)


def explained(
    roster: Roster, *, wanted: Requirements = AS_A, when_cold: WhenCold = "wait"
) -> dict[str, tuple[str, str]]:
    """Each candidate's verdict and reason, in the order of the answer."""
    try:
        decision = place(roster, wanted, when_cold=when_cold, preferred=B)
    except Refused:
        decision = None
    return {c.worker: (c.verdict, c.reason) for c in explain(roster, wanted, decision).candidates}


def against_the_best(other: Announcement, wanted: Requirements = AS_A) -> tuple[str, str]:
    found = explained(Roster([BEST, other]), wanted=wanted)
    assert found["best"] == ("chosen", "has model-a in memory")
    return found[other.name]


@pytest.mark.parametrize(
    ("other", "verdict", "reason"),
    [
        (a_worker("b", state="starting"), "starting", "is not ready yet"),
        (a_worker("b", state="draining"), "draining", "takes no new sessions and is about to end"),
        (a_worker("b", models=(B,)), "no-such-model", "has model-b"),
        (a_worker("b", capabilities=Capabilities(languages=("de", "fr"))), "wrong-language", "model-a knows de, fr"),
        (a_worker("b", sessions=4), "full", "4 of 4 sessions"),
        (
            a_worker("b", resident_models=()),
            "not-resident",
            "model-a is not in its memory; it is at best",
        ),
        (a_worker("b", queue=3), "longer-queue", "3 waiting; 0 at best"),
        (a_worker("b", p50=181.0), "slower", "first sound after 181 ms; first sound after 40 ms at best"),
        (
            a_worker("b", p50=0.0, sessions=2),
            "slower",
            "first sound not measured yet; first sound after 40 ms at best",
        ),
        (a_worker("b", sessions=1), "busier", "25% of its places taken; 0% at best"),
        (a_worker("c"), "equal", "as good as best (first sound within 50 ms): they take turns"),
    ],
)
def test_each_loser_hears_by_which_rule_and_figures_it_lost(other: Announcement, verdict: str, reason: str) -> None:
    assert against_the_best(other) == (verdict, reason)


def test_a_missing_capability_and_a_missing_rate_are_named() -> None:
    able = replace(BEST, capabilities=Capabilities(zero_shot=True, sample_rates=(24_000,)))
    wanted = replace(AS_A, needs=("zero_shot", "streaming"), sample_rate=24_000)
    found = explained(
        Roster([able, a_worker("b"), a_worker("c", capabilities=Capabilities(zero_shot=True))]), wanted=wanted
    )
    assert found["b"] == ("no-capability", "lacks zero_shot")
    assert found["c"] == ("wrong-sample-rate", "sends 48000 Hz")


def test_who_was_to_be_avoided_is_said_to_be() -> None:
    assert against_the_best(a_worker("b"), replace(AS_A, avoid=frozenset({WorkerName("b")})))[0] == "avoided"


def test_sessions_that_were_just_sent_there_are_told_apart() -> None:
    roster = Roster([BEST, a_worker("b"), a_worker("full", capacity=1)])
    roster.placed(WorkerName("b"), 0.0)
    roster.placed(WorkerName("full"), 0.0)
    found = explained(roster)
    assert found["b"] == ("longer-queue", "1 waiting, 1 of them sessions just sent there; 0 at best")
    assert found["full"] == ("full", "0 of 1 sessions, and 1 just sent there")


def test_one_that_has_just_refused_or_is_crowded_is_said_to_be() -> None:
    roster = Roster([BEST, a_worker("b"), a_worker("crowded", sessions=3)])
    roster.doubt(WorkerName("b"), 0.0)
    found = explained(roster)
    assert found["b"] == ("avoided", "has just refused or failed a session")
    assert found["crowded"] == ("busier", "75% of its places taken; 0% at best")


def test_the_chosen_one_comes_first_then_the_best_of_the_others_then_those_that_cannot_serve() -> None:
    roster = Roster([a_worker("a", state="draining"), a_worker("slow", p50=900.0), a_worker("queue", queue=9), BEST])
    assert list(explained(roster)) == ["best", "slow", "queue", "a"]


def test_workers_of_the_other_kind_are_no_candidates() -> None:
    assert list(explained(Roster([BEST, a_worker("ear", kind="asr")]))) == ["best"]


def test_a_fallback_says_for_whom_it_stands_in_and_who_is_asked_to_load() -> None:
    speaks = a_worker("speaks", models=(B,), resident_models=(B,))
    roster = Roster(
        [a_worker("cold", resident_models=()), a_worker("cold-too", sessions=1, resident_models=()), speaks]
    )
    found = explained(roster, when_cold="fallback")
    assert found == {
        "speaks": ("chosen", "speaks model-b until model-a is loaded"),
        "cold": ("not-resident", "model-a is not in its memory; it is asked to load it"),
        "cold-too": ("not-resident", "model-a is not in its memory"),
    }


def test_one_that_speaks_something_else_while_it_loads_says_so() -> None:
    both = a_worker("both", models=(A, B), resident_models=(B,))
    assert explained(Roster([both]), when_cold="fallback") == {
        "both": ("chosen", "speaks model-b until model-a is loaded; it is asked to load it")
    }


def test_one_that_has_to_load_first_says_so() -> None:
    cold = [a_worker("cold", resident_models=()), a_worker("also", sessions=1, resident_models=())]
    assert explained(Roster(cold)) == {
        "cold": ("chosen", "has to load model-a first"),
        "also": ("busier", "25% of its places taken; 0% at cold"),
    }


def test_a_refusal_is_explained_too() -> None:
    cold = a_worker("cold", resident_models=())
    assert (
        explained(Roster([cold, a_worker("b", sessions=4)]), when_cold="refuse")
        == {
            "b": ("full", "4 of 4 sessions"),
            "cold": ("not-resident", "model-a is not in its memory"),
        }
        | {}
    )
    assert explained(Roster([])) == {}


def test_an_ear_without_models_is_simply_ready() -> None:
    ear = a_worker("ear", kind="asr", models=(), resident_models=())
    assert explained(Roster([ear]), wanted=Requirements(kind="asr", language="en")) == {"ear": ("chosen", "is ready")}


def test_an_answer_of_a_thousand_candidates_is_cut_to_what_a_message_holds() -> None:
    roster = Roster([a_worker(f"{'w' * 59}-{n:04}", sessions=n % 4) for n in range(1_000)])
    kept, left_off = explain(roster, AS_A, place(roster, AS_A, when_cold="wait"))
    assert (len(kept), left_off) == (MOST, 900)
    assert kept[0].verdict == "chosen"
    wordy = tuple(Candidate(worker=c.worker, verdict=c.verdict, reason="x" * 250) for c in kept)
    assert len(encode(Routed(worker=kept[0].worker, model=A, resident=True, candidates=wordy))) < MAX_MESSAGE_BYTES
