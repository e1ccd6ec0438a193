from dataclasses import replace

import pytest

from actors.policies.roster import Roster
from actors.policies.routing import Requirements, default_model, models, speaks
from protocol.errors import Refused
from protocol.ids import ModelId, WorkerName
from protocol.workers import Announcement, Capabilities, Load

A, B = ModelId("model-a"), ModelId("model-b")


def a_worker(name: str, **changes: object) -> Announcement:
    worker = Announcement(name=WorkerName(name), addr=f"nats://{name}", models=(A,), resident_models=(A,))
    return replace(worker, **changes)  # type: ignore[arg-type]  # a test's shorthand


def chosen(*workers: Announcement, language: str = "en", model: ModelId | None = A) -> str:
    return Roster(workers).choose(Requirements(kind="tts", language=language, model=model)).name


def refusal(*workers: Announcement, language: str = "en", model: ModelId | None = A) -> Refused:
    with pytest.raises(Refused) as raised:
        chosen(*workers, language=language, model=model)
    return raised.value


def test_who_has_the_model_in_memory_comes_first() -> None:
    assert chosen(a_worker("cold", resident_models=()), a_worker("warm", metrics=Load(queue_depth=9))) == "warm"


def test_then_the_shortest_queue() -> None:
    assert chosen(a_worker("a", metrics=Load(queue_depth=2)), a_worker("b", metrics=Load(queue_depth=1))) == "b"


def test_then_the_fewest_sessions() -> None:
    assert chosen(a_worker("a", sessions=2), a_worker("b", sessions=1)) == "b"


def test_then_the_fastest() -> None:
    slow, fast = Load(p50_first_audio_ms=180.0), Load(p50_first_audio_ms=60.0)
    assert chosen(a_worker("a", metrics=slow), a_worker("b", metrics=fast)) == "b"


def test_equals_are_chosen_the_same_way_every_time() -> None:
    assert chosen(a_worker("b"), a_worker("a")) == chosen(a_worker("a"), a_worker("b")) == "a"


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


def test_a_dialect_is_served_by_its_language_and_the_other_way_round() -> None:
    british = a_worker("a", capabilities=Capabilities(languages=("en-GB",)))
    assert speaks(british, "en")
    assert speaks(british, "en-US")
    assert not speaks(british, "eng")


def test_who_is_full_is_passed_over_and_when_all_are_the_reason_says_so() -> None:
    full = a_worker("full", sessions=4, capacity=4)
    assert chosen(full, a_worker("cold", resident_models=())) == "cold"
    assert refusal(full).code == "no-capacity"


def test_without_a_wish_any_model_will_do_and_one_in_memory_is_spoken_with() -> None:
    worker = a_worker("a", models=(A, B), resident_models=(B,))
    assert chosen(worker, model=None) == "a"
    assert default_model(worker) == B
    assert default_model(a_worker("a", models=(), resident_models=())) is None


def test_what_is_offered_is_named_once() -> None:
    assert models([a_worker("a", models=(B, A)), a_worker("b")]) == [A, B]
