from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.policies.outstanding import FORGET_AFTER_S
from actors.policies.roster import Roster
from actors.policies.routing import Requirements
from protocol.errors import Refused
from protocol.ids import ModelId, WorkerName
from protocol.workers import Announcement, Capabilities, Load
from tests.policies.workforce import A, B, a_worker

AS_A = Requirements(kind="tts", language="en", model=A)


def chosen(*workers: Announcement, wanted: Requirements = AS_A, tie: int = 0) -> str:
    return Roster(workers).choose(wanted, tie=tie).name


def refusal(*workers: Announcement, **wanted: object) -> Refused:
    asked = {"kind": "tts", "language": "en", "model": A} | wanted
    with pytest.raises(Refused) as raised:
        Roster(workers).choose(Requirements(**asked))  # type: ignore[arg-type]  # a test's shorthand
    return raised.value


def send(roster: Roster, times: int, *, now: float = 0.0) -> Counter[str]:
    sent: Counter[str] = Counter()
    for tie in range(times):
        name = roster.choose(AS_A, tie=tie).name
        roster.placed(name, now)
        sent[name] += 1
    return sent


# --- the order ------------------------------------------------------------------------------------------------------
def test_who_has_the_model_in_memory_comes_first() -> None:
    assert chosen(a_worker("cold", resident_models=()), a_worker("warm", queue=9)) == "warm"


def test_then_the_shortest_queue() -> None:
    assert chosen(a_worker("a", queue=2, p50=10.0), a_worker("b", queue=1, p50=900.0)) == "b"


def test_then_the_first_sound() -> None:
    assert chosen(a_worker("a", p50=180.0), a_worker("b", p50=60.0, sessions=2)) == "b"


def test_then_the_smallest_share_of_taken_places() -> None:
    assert chosen(a_worker("a", sessions=2, capacity=4), a_worker("b", sessions=3, capacity=8)) == "b"


def test_latencies_that_nobody_can_tell_apart_do_not_fill_the_fastest_worker() -> None:
    assert chosen(a_worker("a", p50=52.0, sessions=1), a_worker("b", p50=61.0)) == "b"


def test_equals_take_turns() -> None:
    workers = [a_worker("b"), a_worker("a"), a_worker("c")]
    assert [chosen(*workers, tie=tie) for tie in range(4)] == ["a", "b", "c", "a"]


def test_the_order_in_which_workers_were_heard_of_does_not_matter() -> None:
    assert chosen(a_worker("b"), a_worker("a"), tie=7) == chosen(a_worker("a"), a_worker("b"), tie=7)


def test_who_is_not_measured_yet_gets_a_trial_and_then_waits_for_its_figures() -> None:
    roster = Roster([a_worker("known", p50=120.0), a_worker("new", p50=0.0)])
    assert send(roster, 1) == {"new": 1}
    roster.put(a_worker("new", p50=0.0, sessions=1))
    assert send(roster, 1) == {"new": 1}
    roster.put(a_worker("new", p50=0.0, sessions=2))
    assert send(roster, 1) == {"known": 1}


def test_workers_of_which_none_is_measured_share_the_work() -> None:
    roster = Roster([a_worker(name, p50=0.0, capacity=8) for name in "abcd"])
    assert set(send(roster, 32).values()) == {8}


# --- between two announcements --------------------------------------------------------------------------------------
def test_what_was_just_placed_counts_before_the_worker_says_so() -> None:
    roster = Roster([a_worker(name, capacity=32) for name in "abc"])
    assert set(send(roster, 30).values()) == {10}


def test_the_fastest_worker_is_not_flooded_between_two_announcements() -> None:
    roster = Roster([a_worker("fast", p50=20.0, capacity=32), a_worker("slow", p50=300.0, capacity=32)])
    assert send(roster, 10) == {"fast": 5, "slow": 5}


def test_a_newer_announcement_replaces_what_was_guessed() -> None:
    roster = Roster([a_worker("a"), a_worker("b")])
    roster.placed(WorkerName("a"), 0.0)
    assert roster.choose(AS_A).name == "b"
    roster.put(a_worker("a"))
    assert roster.choose(AS_A).name == "a"


def test_a_guess_that_no_announcement_confirms_is_forgotten() -> None:
    roster = Roster([a_worker("a"), a_worker("b")])
    roster.placed(WorkerName("a"), 1.0)
    roster.expire(1.0 + FORGET_AFTER_S - 0.01)
    assert (roster.placed_at(WorkerName("a")), roster.choose(AS_A).name) == (1, "b")
    roster.expire(1.0 + FORGET_AFTER_S)
    assert (roster.placed_at(WorkerName("a")), roster.choose(AS_A).name) == (0, "a")


def test_a_guess_before_an_announcement_does_not_end_one_after_it() -> None:
    roster = Roster([a_worker("a"), a_worker("b")])
    roster.placed(WorkerName("a"), 0.0)
    roster.put(a_worker("a"))
    roster.placed(WorkerName("a"), 1.0)
    roster.expire(FORGET_AFTER_S)
    assert roster.placed_at(WorkerName("a")) == 1


def test_who_is_gone_takes_its_guesses_along() -> None:
    roster = Roster([a_worker("a")])
    roster.placed(WorkerName("a"), 0.0)
    roster.remove(WorkerName("a"))
    roster.placed(WorkerName("a"), 0.0)
    roster.expire(100.0)
    assert roster.placed_at(WorkerName("a")) == 0
    assert WorkerName("a") not in roster


def test_a_worker_that_is_probably_full_comes_after_a_cold_one_and_is_asked_when_nobody_else_is_left() -> None:
    roster = Roster([a_worker("warm", capacity=1), a_worker("cold", capacity=1, resident_models=())])
    assert send(roster, 2) == {"warm": 1, "cold": 1}
    assert roster.choose(AS_A).name == "warm"


def test_who_has_just_refused_is_asked_last_until_it_speaks_again() -> None:
    roster = Roster([a_worker("a"), a_worker("b", queue=9)])
    roster.doubt(WorkerName("a"), 0.0)
    assert roster.choose(AS_A).name == "b"
    assert roster.choose(replace(AS_A, avoid=frozenset({WorkerName("b")}))).name == "a"
    roster.put(a_worker("a"))
    assert roster.choose(AS_A).name == "a"


def test_a_doubt_ends_by_itself() -> None:
    roster = Roster([a_worker("a"), a_worker("b", queue=9)])
    roster.doubt(WorkerName("a"), 0.0)
    roster.doubt(WorkerName("a"), 1.0)
    roster.doubt(WorkerName("gone"), 1.0)
    roster.expire(FORGET_AFTER_S)
    assert roster.choose(AS_A).name == "a"


def test_the_queue_decides_before_the_speed_and_both_before_the_room() -> None:
    """To the last place: whoever is full after all refuses, and the next best one is asked."""
    crowded = a_worker("fast", sessions=15, capacity=16, p50=20.0)
    empty = a_worker("slow", capacity=16, p50=900.0)
    assert chosen(crowded, empty) == "fast"
    assert chosen(replace(crowded, metrics=Load(queue_depth=1, p50_first_audio_ms=20.0)), empty) == "slow"
    assert chosen(crowded, replace(empty, metrics=crowded.metrics)) == "slow"
    assert chosen(replace(crowded, sessions=16), empty) == "slow"


# --- what changes is noticed ----------------------------------------------------------------------------------------
def test_a_model_that_was_loaded_or_let_go_is_noticed() -> None:
    roster = Roster([a_worker("a"), a_worker("b", resident_models=())])
    assert roster.choose(AS_A).name == "a"
    roster.put(a_worker("a", resident_models=()))
    roster.put(a_worker("b"))
    assert roster.choose(AS_A).name == "b"


@pytest.mark.parametrize(
    "changed",
    [
        a_worker("a", models=(B,), resident_models=(B,)),
        a_worker("a", kind="asr"),
        a_worker("a", model_languages={A: ("de",)}),
        a_worker("a", capabilities=Capabilities(languages=("de",))),
        a_worker("a", state="draining"),
        a_worker("a", sessions=4),
    ],
)
def test_who_can_no_longer_serve_is_not_chosen_any_more(changed: Announcement) -> None:
    roster = Roster([a_worker("a"), a_worker("b", sessions=3)])
    assert roster.choose(AS_A).name == "a"
    roster.put(changed)
    assert roster.choose(AS_A).name == "b"


def test_many_different_wishes_do_not_fill_the_memory() -> None:
    roster = Roster([a_worker("a")])
    for number in range(1_000):
        with pytest.raises(Refused):
            roster.choose(Requirements(kind="tts", language="en", model=ModelId(f"m{number}")))
    assert len(roster._able) <= 256
    assert roster.choose(AS_A).name == "a"


_NAMES = st.sampled_from([WorkerName(f"w{number}") for number in range(6)])
_CHANGES = st.one_of(
    st.tuples(_NAMES, st.none()),
    st.tuples(
        _NAMES,
        st.builds(
            lambda models, resident, kind, languages: a_worker(
                "x",
                models=models,
                resident_models=tuple(m for m in models if m in resident),
                kind=kind,
                capabilities=Capabilities(languages=languages),
            ),
            st.sampled_from([(), (A,), (B,), (A, B)]),
            st.sampled_from([(), (A,), (B,), (A, B)]),
            st.sampled_from(["tts", "asr"]),
            st.sampled_from([("en",), ("de",), ("de", "en")]),
        ),
    ),
)


@given(st.lists(_CHANGES, max_size=30))
def test_what_is_kept_at_hand_is_what_would_be_worked_out_anew(
    changes: list[tuple[WorkerName, Announcement | None]],
) -> None:
    wishes = [AS_A, replace(AS_A, model=None), replace(AS_A, language="de"), replace(AS_A, kind="asr", model=None)]
    roster, known = Roster(), dict[WorkerName, Announcement]()
    for name, announcement in changes:
        if announcement is None:
            known.pop(name, None)
            roster.remove(name)
        else:
            known[name] = replace(announcement, name=name)
            roster.put(known[name])
        fresh = Roster(known.values())
        for wanted in wishes:
            kept, anew = roster.able(wanted), fresh.able(wanted)
            assert [e.worker for e in kept.warm] == [e.worker for e in anew.warm]
            assert [e.worker for e in kept.cold] == [e.worker for e in anew.cold]


# --- refusals -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("state", ["starting", "draining"])
def test_only_who_is_ready_is_chosen(state: str) -> None:
    assert chosen(a_worker("a", state=state), a_worker("b", sessions=3)) == "b"
    assert refusal(a_worker("a", state=state)).code == "no-worker"


def test_an_ear_is_no_voice() -> None:
    assert refusal(a_worker("ear", kind="asr")).code == "no-worker"


def test_a_model_that_nobody_has_is_refused_with_those_that_there_are() -> None:
    refused = refusal(a_worker("a"), a_worker("b", models=(B,)), model=ModelId("model-x"))
    assert (refused.code, refused.reason) == ("no-such-model", "no worker has model-x; there are: model-a, model-b")


def test_a_language_that_nobody_knows_is_refused() -> None:
    assert refusal(a_worker("a"), language="de").code == "no-such-language"


def test_a_capability_or_a_rate_that_nobody_has_is_refused() -> None:
    assert refusal(a_worker("a"), needs=("lora",)).code == "no-such-capability"
    assert refusal(a_worker("a"), sample_rate=16_000).code == "no-such-sample-rate"


def test_the_refusal_says_how_far_the_best_of_them_came() -> None:
    assert refusal(a_worker("a", models=(B,)), a_worker("b"), language="de").code == "no-such-language"


def test_who_is_to_be_avoided_is_not_chosen_and_when_nobody_is_left_that_is_the_reason() -> None:
    avoiding = frozenset({WorkerName("a")})
    wanted = Requirements(kind="tts", language="en", model=A, avoid=avoiding)
    assert chosen(a_worker("a"), a_worker("b", queue=5), wanted=wanted) == "b"
    assert refusal(a_worker("a"), avoid=avoiding).code == "no-other-worker"
    assert refusal(a_worker("a"), a_worker("b", sessions=4), avoid=avoiding).code == "no-capacity"


def test_who_is_full_is_passed_over_and_when_all_are_the_reason_says_so() -> None:
    full = a_worker("full", sessions=4, capacity=4)
    assert chosen(full, a_worker("cold", resident_models=())) == "cold"
    assert refusal(full).code == "no-capacity"


def test_who_takes_nobody_is_never_chosen() -> None:
    assert refusal(a_worker("a", capacity=0)).code == "no-capacity"
