import pytest

from actors.policies.steering import announced_models, holders, where_to_load
from protocol.errors import Refused
from protocol.ids import ModelId
from protocol.ports import WorkerView
from tests.fakes.fleet import HEART, JOE, announcement, view


def test_an_announcement_tells_what_is_in_memory_and_in_which_languages() -> None:
    worker = announcement(resident_models=(JOE,), model_languages={HEART: ("ja",)})
    told = [(status.model, status.state, status.languages) for status in announced_models(worker)]
    assert told == [(JOE, "resident", ("en",)), (HEART, "known", ("ja",))]


def test_a_model_is_loaded_where_most_places_are_free() -> None:
    full, free = view("tts-0", sessions=3, capacity=4), view("tts-1", sessions=3, capacity=8)
    assert where_to_load([full, free], JOE) is free


def test_between_equals_the_one_with_fewer_models_in_memory_loads() -> None:
    laden, light = view("tts-0", resident_models=(HEART,)), view("tts-1", resident_models=())
    assert where_to_load([laden, light], JOE) is light


@pytest.mark.parametrize("fields", [{"state": "draining"}, {"models": (HEART,)}])
def test_who_can_not_load_it_is_not_chosen(fields: dict[str, object]) -> None:
    other = view("tts-1", sessions=4)
    assert where_to_load([view("tts-0", **fields), other], JOE) is other


def test_a_model_that_nobody_knows_is_refused_with_those_there_are() -> None:
    with pytest.raises(Refused, match="hibari-heart, piper-joe") as refused:
        where_to_load([view()], ModelId("nobody"))
    assert refused.value.code == "no-such-model"
    with pytest.raises(Refused, match="none at all"):
        where_to_load([], JOE)


def test_who_does_not_answer_is_not_chosen() -> None:
    hung = WorkerView(worker=announcement(), models=announced_models(announcement()), answers=False)
    with pytest.raises(Refused):
        where_to_load([hung], JOE)


def test_holders_are_those_that_have_it_in_memory() -> None:
    one, other = view("tts-0", resident_models=(JOE,)), view("tts-1")
    assert list(holders([one, other], JOE)) == [one]
