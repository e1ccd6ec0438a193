import pytest

from actors.policies.routing import Requirements, default_model, misfit, models, speaks
from protocol.ids import ModelId
from protocol.workers import Capabilities
from tests.policies.workforce import A, B, a_worker


def verdict(worker_languages: tuple[str, ...] = ("en",), **wanted: object) -> str | None:
    worker = a_worker("a", models=(A, B), model_languages={B: ("de",)})
    worker = a_worker(
        "a",
        models=worker.models,
        model_languages=worker.model_languages,
        capabilities=Capabilities(languages=worker_languages, zero_shot=True, cpu_ok=False),
    )
    asked = {"language": "en", "model": A} | wanted
    found = misfit(worker, Requirements(kind="tts", **asked))  # type: ignore[arg-type]  # a test's shorthand
    return None if found is None else found.verdict


def test_who_has_the_model_and_the_language_can_serve() -> None:
    assert verdict() is None


def test_a_model_that_it_lacks_is_named_before_all_else() -> None:
    assert verdict(model=ModelId("model-x"), language="fr", needs=("lora",)) == "no-such-model"


def test_each_model_has_languages_of_its_own() -> None:
    assert verdict(model=B, language="de") is None
    assert verdict(model=B, language="en") == "wrong-language"
    assert verdict(model=A, language="de") == "wrong-language"


def test_without_a_model_any_of_them_may_know_the_language() -> None:
    assert verdict(model=None, language="de") is None
    assert verdict(model=None, language="fr") == "wrong-language"


@pytest.mark.parametrize("need", ["lora", "cpu_ok", "emotive_zero_prompt"])
def test_what_it_cannot_do_excludes_it(need: str) -> None:
    assert verdict(needs=("zero_shot", need)) == "no-capability"


def test_what_it_can_do_does_not() -> None:
    assert verdict(needs=("streaming", "zero_shot")) is None


def test_it_must_send_the_sample_rate_that_is_asked_for() -> None:
    assert verdict(sample_rate=48_000) is None
    assert verdict(sample_rate=24_000) == "wrong-sample-rate"


def test_a_voice_without_a_model_serves_nobody_but_an_ear_may_name_none() -> None:
    anything = Requirements(kind="tts", language="en")
    nothing = a_worker("a", models=(), resident_models=())
    found = misfit(nothing, anything)
    assert found is not None
    assert found.verdict == "no-such-model"
    ear = a_worker("ear", kind="asr", models=(), resident_models=())
    assert misfit(ear, Requirements(kind="asr", language="en")) is None


def test_a_dialect_is_served_by_its_language_and_the_other_way_round() -> None:
    british = a_worker("a", capabilities=Capabilities(languages=("en-GB",)))
    assert speaks(british, "en")
    assert speaks(british, "en-US")
    assert not speaks(british, "eng")


def test_without_a_wish_the_first_model_in_memory_that_knows_the_language_speaks() -> None:
    worker = a_worker("a", models=(A, B), resident_models=(B,), model_languages={B: ("de",)})
    assert default_model(worker) == B
    assert default_model(worker, "de-AT") == B
    assert default_model(worker, "en") == A
    assert default_model(a_worker("a", models=(), resident_models=())) is None


def test_what_is_offered_is_named_once() -> None:
    assert models([a_worker("a", models=(B, A)), a_worker("b")]) == [A, B]


def test_a_long_list_is_cut_short_in_a_reason() -> None:
    many = tuple(ModelId(f"m{n:02}") for n in range(30))
    found = misfit(a_worker("a", models=many), Requirements(kind="tts", language="en", model=A))
    assert found is not None
    assert found.reason == "has m00, m01, m02, m03, m04, m05, m06, m07 and 22 more"
