"""`/references` over real HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from structlog.testing import capture_logs

from adapters.transport.reference_http import ReferenceLimits
from protocol.errors import Refused
from protocol.ports import Reference
from protocol.speaking import ReferenceId
from tests.adapters.recordings import sound_file
from tests.adapters.serving import served
from tests.fakes.host import FakeHost

KEY = "a-key-that-nobody-guesses"
TEXT = "Schöne Grüße, und was sonst noch gesagt wird."
SAID = {"Reference-Text": quote(TEXT), "Content-Type": "audio/wav"}


@dataclass
class Desk:
    """What was brought, as the gateway would take it."""

    may_keep: bool = False
    brought: dict[ReferenceId, tuple[Reference, bool]] = field(default_factory=dict)
    refusal: Refused | None = None

    async def add(self, reference: Reference, *, keep: bool) -> ReferenceId:
        if self.refusal is not None:
            raise self.refusal
        name = f"ref-{len(self.brought)}"
        self.brought[name] = (reference, keep)
        return name

    async def remove(self, name: ReferenceId) -> bool:
        return self.brought.pop(name, None) is not None


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def bring(
    http: aiohttp.ClientSession, desk: Desk, data: Any = None, *, where: str = "/references", **options: Any
) -> tuple[int, dict[str, Any]]:
    headers = options.pop("headers", SAID)
    async with served(FakeHost(), references=desk, **options) as url:
        body = sound_file() if data is None else data
        async with http.post(url + where, data=body, headers=headers) as response:
            return response.status, await response.json()


def a_form(**parts: Any) -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    for name, value in parts.items():
        form.add_field(name, value, filename="a.wav" if isinstance(value, bytes) else None)
    return form


async def test_a_recording_is_taken_as_it_is(http: aiohttp.ClientSession) -> None:
    desk = Desk()
    status, answer = await bring(http, desk)
    assert status == 201
    assert answer == {
        "type": "reference",
        "reference": "ref-0",
        "seconds": 2.0,
        "sample_rate": 24_000,
        "kept": False,
    }
    reference, keep = desk.brought["ref-0"]
    assert (reference.text, reference.seconds, keep) == (TEXT, 2.0, False)


async def test_a_recording_is_taken_from_a_form(http: aiohttp.ClientSession) -> None:
    desk = Desk()
    status, _ = await bring(http, desk, a_form(text=TEXT, audio=sound_file(kind="FLAC")), headers={})
    assert status == 201
    assert desk.brought["ref-0"][0].text == TEXT


@pytest.mark.parametrize(
    ("data", "headers", "status", "code"),
    [
        (sound_file(seconds=0.5), SAID, 422, "bad-reference"),
        (b"hello", SAID, 422, "bad-reference"),
        (sound_file(), {"Content-Type": "audio/wav"}, 422, "bad-reference"),
        (sound_file(), {**SAID, "Content-Type": "text/plain"}, 415, "unsupported-media-type"),
        (a_form(text=TEXT), {}, 422, "bad-reference"),
        (a_form(audio=sound_file()), {}, 422, "bad-reference"),
        (a_form(text=TEXT, audio=sound_file(), more="x"), {}, 422, "bad-reference"),
        (a_form(text=TEXT * 1_000, audio=sound_file()), {}, 413, "too-large"),
        (b"no form", {"Content-Type": "multipart/form-data"}, 422, "bad-reference"),
        (b"no form", {"Content-Type": "multipart/form-data; boundary=x"}, 422, "bad-reference"),
        (bytes(5_000_001), SAID, 413, "too-large"),
        (a_form(text=TEXT, audio=bytes(5_000_001)), {}, 413, "too-large"),
    ],
)
async def test_what_is_no_recording_is_refused_with_a_code(
    http: aiohttp.ClientSession, data: Any, headers: dict[str, str], status: int, code: str
) -> None:
    desk = Desk()
    got, answer = await bring(http, desk, data, headers=headers)
    assert (got, answer["type"], answer["code"]) == (status, "refused", code)
    assert not desk.brought


async def test_a_gateway_keeps_a_recording_only_where_it_may(http: aiohttp.ClientSession) -> None:
    status, answer = await bring(http, Desk(), where="/references?keep=true")
    assert (status, answer["code"]) == (403, "keeping-off")
    desk = Desk(may_keep=True)
    status, answer = await bring(http, desk, where="/references?keep=true")
    assert (status, answer["kept"]) == (201, True)
    assert desk.brought["ref-0"][1]


async def test_a_full_store_is_told(http: aiohttp.ClientSession) -> None:
    status, answer = await bring(http, Desk(refusal=Refused("references-full", "full")))
    assert (status, answer["code"]) == (503, "references-full")


async def test_an_address_that_brings_too_many_has_to_wait(http: aiohttp.ClientSession) -> None:
    desk = Desk()
    limits = ReferenceLimits(burst=2, per_minute=0.001)
    async with served(FakeHost(), references=desk, reference_limits=limits) as url:
        statuses = []
        for _ in range(3):
            async with http.post(f"{url}/references", data=sound_file(), headers=SAID) as response:
                statuses.append(response.status)
    assert statuses == [201, 201, 429]


async def test_without_the_key_nothing_is_taken_or_removed(http: aiohttp.ClientSession) -> None:
    desk = Desk()
    status, _ = await bring(http, desk, api_key=KEY)
    assert status == 401
    status, _ = await bring(http, desk, api_key=KEY, headers={**SAID, "Authorization": f"Bearer {KEY}"})
    assert status == 201
    async with served(FakeHost(), references=desk, api_key=KEY) as url:
        async with http.delete(f"{url}/references/ref-0") as response:
            assert response.status == 401
        assert desk.brought


async def test_a_page_of_another_site_brings_nothing(http: aiohttp.ClientSession) -> None:
    status, answer = await bring(http, Desk(), headers={**SAID, "Origin": "https://elsewhere.example"})
    assert (status, answer["code"]) == (403, "foreign-origin")


async def test_a_recording_is_removed_when_told_to(http: aiohttp.ClientSession) -> None:
    desk = Desk()
    await bring(http, desk)
    async with served(FakeHost(), references=desk) as url:
        async with http.delete(f"{url}/references/ref-0") as response:
            assert response.status == 204
        async with http.delete(f"{url}/references/ref-0") as response:
            assert response.status == 404
            assert (await response.json())["code"] == "no-such-reference"


async def test_without_a_desk_there_is_no_such_path(http: aiohttp.ClientSession) -> None:
    async with served(FakeHost()) as url, http.post(f"{url}/references", data=b"", headers=SAID) as response:
        assert response.status == 404


async def test_the_log_holds_the_name_and_the_length_and_nothing_else(http: aiohttp.ClientSession) -> None:
    with capture_logs() as logged:
        await bring(http, Desk())
    (line,) = [line for line in logged if line["event"] == "a recording was taken in"]
    assert line == {
        "event": "a recording was taken in",
        "log_level": "info",
        "reference": "ref-0",
        "seconds": 2.0,
        "kept": False,
    }
    assert "Grüße" not in str(logged)
