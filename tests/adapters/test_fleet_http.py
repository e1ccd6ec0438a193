import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest
import structlog
from prometheus_client import generate_latest

from protocol.errors import Refused
from protocol.ports import WorkerView
from tests.adapters.serving import served
from tests.fakes.fleet import HEART, JOE, FakeFleet, view
from tests.fakes.host import FakeHost

KEY, ADMIN = "the-api-key", "the-admin-key"
JSON = {"Content-Type": "application/json"}
LOAD = f"/workers/tts-0/models/{JOE}/load"
CHANGES = [LOAD, f"/workers/tts-0/models/{JOE}/unload", "/workers/tts-0/drain"]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def asked(http: aiohttp.ClientSession, url: str, **headers: str) -> tuple[int, dict[str, Any]]:
    async with http.post(url, headers={**JSON, **headers}) as response:
        return response.status, await response.json()


# --- reading ---------------------------------------------------------------------------------------------------------
async def test_workers_are_told_with_their_models(http: aiohttp.ClientSession) -> None:
    fleet = FakeFleet(view(sessions=2))
    async with served(FakeHost(), fleet=fleet) as url, http.get(f"{url}/workers") as response:
        assert response.status == 200
        assert response.headers["Cache-Control"] == "no-store"
        (told,) = (await response.json())["workers"]
    assert (told["worker"]["name"], told["worker"]["sessions"], told["answers"]) == ("tts-0", 2, True)
    assert [(m["model"], m["state"]) for m in told["models"]] == [(HEART, "resident"), (JOE, "known")]
    assert fleet.refreshed == 1


@pytest.mark.parametrize("path", ["/workers", "/workers/events"])
async def test_reading_takes_the_api_key(http: aiohttp.ClientSession, path: str) -> None:
    async with served(FakeHost(), fleet=FakeFleet(), api_key=KEY, admin_key=ADMIN) as url:
        for headers in ({}, bearer("wrong")):
            async with http.get(url + path, headers=headers) as response:
                assert response.status == 401
        async with http.get(url + path, headers=bearer(KEY)) as response:
            assert response.status == 200


async def test_without_a_fleet_there_is_no_such_path(http: aiohttp.ClientSession) -> None:
    async with served(FakeHost()) as url, http.get(f"{url}/workers") as response:
        assert response.status == 404


# --- changing --------------------------------------------------------------------------------------------------------
async def test_the_admin_key_loads_unloads_and_drains(http: aiohttp.ClientSession) -> None:
    fleet = FakeFleet(view())
    async with served(FakeHost(), fleet=fleet, api_key=KEY, admin_key=ADMIN) as url:
        for path in CHANGES:
            status, told = await asked(http, url + path, **bearer(ADMIN))
            assert (status, told["type"], told["view"]["worker"]["name"]) == (200, "worker", "tts-0")
            assert told["took_ms"] >= 0
    assert fleet.asked == [("load", "tts-0", JOE), ("unload", "tts-0", JOE), ("drain", "tts-0", None)]


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize("headers", [{}, bearer("wrong"), bearer(KEY), {"Authorization": f"Basic {ADMIN}"}])
async def test_any_other_key_changes_nothing(http: aiohttp.ClientSession, path: str, headers: dict[str, str]) -> None:
    fleet = FakeFleet(view())
    async with served(FakeHost(), fleet=fleet, api_key=KEY, admin_key=ADMIN, is_local=True) as url:
        status, told = await asked(http, url + path, **headers)
        assert (status, told["type"], told["code"]) == (401, "refused", "not-admin")
        status, _ = await asked(http, f"{url}{path}?key={ADMIN}")
        assert status == 401, "a key in an address would be in logs"
    assert fleet.asked == []


async def test_with_an_api_key_alone_nothing_can_be_changed_and_the_reason_says_what_to_set(
    http: aiohttp.ClientSession,
) -> None:
    async with served(FakeHost(), fleet=FakeFleet(view()), api_key=KEY, is_local=True) as url:
        status, told = await asked(http, url + LOAD, **bearer(KEY))
        assert (status, told["code"]) == (403, "steering-off")
        assert "ANTIPHON_ADMIN_KEY" in told["reason"]
        assert await _steering(http, url, **bearer(KEY)) == "off"


async def test_without_keys_a_loopback_gateway_is_steered_freely(http: aiohttp.ClientSession) -> None:
    fleet = FakeFleet(view())
    async with served(FakeHost(), fleet=fleet, is_local=True) as url:
        assert await _steering(http, url) == "open"
        assert (await asked(http, url + LOAD))[0] == 200
    assert fleet.asked


async def test_without_keys_a_gateway_that_others_reach_is_not_steered(http: aiohttp.ClientSession) -> None:
    fleet = FakeFleet(view())
    async with served(FakeHost(), fleet=fleet, is_local=False) as url:
        assert await _steering(http, url) == "off"
        status, told = await asked(http, url + LOAD)
        assert (status, told["code"]) == (403, "steering-off")
    assert not fleet.asked


async def test_a_foreign_name_for_this_machine_opens_nothing(http: aiohttp.ClientSession) -> None:
    """Its owner can let a browser here speak for his page (DNS rebinding)."""
    fleet = FakeFleet(view())
    async with served(FakeHost(), fleet=fleet, is_local=True) as url:
        host = f"evil.example:{url.rpartition(':')[2]}"
        status, told = await asked(http, url + LOAD, Host=host, Origin=f"http://{host}")
        assert (status, told["code"]) == (403, "steering-off")
    assert not fleet.asked


async def test_the_form_of_another_site_drains_no_worker(http: aiohttp.ClientSession) -> None:
    fleet = FakeFleet(view())
    async with served(FakeHost(), fleet=fleet, is_local=True) as url:
        status, told = await asked(http, f"{url}/workers/tts-0/drain", Origin="https://elsewhere.example")
        assert (status, told["code"]) == (403, "foreign-origin")
        for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
            async with http.post(f"{url}/workers/tts-0/drain", data=b"", headers={"Content-Type": kind}) as response:
                assert response.status == 415
                assert (await response.json())["code"] == "unsupported-media-type"
        async with http.get(f"{url}/workers/tts-0/drain") as response:
            assert response.status == 405
    assert not fleet.asked


@pytest.mark.parametrize(
    ("code", "status"),
    [("model-in-use", 409), ("no-such-worker", 404), ("no-such-model", 404), ("no-answer", 504), ("no-room", 409)],
)
async def test_a_refusal_of_the_worker_is_told_in_its_own_words(
    http: aiohttp.ClientSession, code: str, status: int
) -> None:
    fleet = FakeFleet(view(), refusal=Refused(code, "2 sessions speak with it"))
    async with served(FakeHost(), fleet=fleet, is_local=True) as url:
        assert await asked(http, url + LOAD) == (
            status,
            {"type": "refused", "code": code, "reason": "2 sessions speak with it"},
        )


@pytest.mark.parametrize("path", ["/workers/TTS/drain", "/workers/a.b/drain", f"/workers/{'x' * 65}/drain"])
async def test_what_can_be_no_name_is_not_found(http: aiohttp.ClientSession, path: str) -> None:
    async with served(FakeHost(), fleet=FakeFleet(view()), is_local=True) as url:
        assert (await asked(http, url + path))[0] == 404


async def test_keys_can_not_be_guessed_at_speed_and_stand_in_no_log(http: aiohttp.ClientSession) -> None:
    with structlog.testing.capture_logs() as logs:
        async with served(FakeHost(), fleet=FakeFleet(view()), admin_key=ADMIN) as url:
            statuses = [(await asked(http, url + LOAD, **bearer(f"guess-{n}")))[0] for n in range(12)]
            assert statuses[:10] == [401] * 10
            assert 429 in statuses[10:]
            status, told = await asked(http, url + LOAD, **bearer(ADMIN))
            assert (status, told["code"]) == (429, "too-many-requests")
    assert "guess" not in str(logs)
    assert ADMIN not in str(logs)


async def test_what_was_done_is_logged_and_counted(http: aiohttp.ClientSession) -> None:
    with structlog.testing.capture_logs() as logs:
        async with served(FakeHost(), fleet=FakeFleet(view()), is_local=True) as url:
            await asked(http, url + LOAD)
    (entry,) = [entry for entry in logs if entry["event"] == "a worker was steered"]
    assert (entry["command"], entry["worker"], entry["model"], entry["outcome"]) == ("load", "tts-0", JOE, "done")
    assert b'antiphon_http_steered_total{command="load",outcome="done"}' in generate_latest()


async def _steering(http: aiohttp.ClientSession, url: str, **headers: str) -> str:
    async with http.get(f"{url}/workers", headers=headers) as response:
        return str((await response.json())["steering"])


# --- events ----------------------------------------------------------------------------------------------------------
class Listener:
    """Reads one line after the other."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def line(self) -> str:
        return (await asyncio.wait_for(self._response.content.readline(), 5)).decode().rstrip("\n")

    async def event(self) -> list[dict[str, Any]]:
        """The workers of the next event, whatever heartbeats come before."""
        while not (line := await self.line()).startswith("data: "):
            pass
        workers: list[dict[str, Any]] = orjson.loads(line.removeprefix("data: "))["workers"]
        return workers

    async def ended(self) -> None:
        await asyncio.wait_for(self._response.content.read(), 5)
        assert self._response.content.at_eof()


async def test_a_listener_is_told_everything_at_once_and_again_at_each_change(http: aiohttp.ClientSession) -> None:
    fleet = FakeFleet(view())
    async with served(FakeHost(), fleet=fleet) as url, http.get(f"{url}/workers/events") as response:
        assert response.content_type == "text/event-stream"
        listener = Listener(response)
        assert await listener.line() == "event: workers"
        assert [w["worker"]["name"] for w in await listener.event()] == ["tts-0"]
        fleet.change(view(), view("tts-1"))
        assert [w["worker"]["name"] for w in await listener.event()] == ["tts-0", "tts-1"]


async def test_many_changes_are_told_four_times_a_second_and_the_last_one_always(http: aiohttp.ClientSession) -> None:
    fleet = FakeFleet(view())
    async with served(FakeHost(), fleet=fleet) as url, http.get(f"{url}/workers/events") as response:
        listener = Listener(response)
        await listener.event()
        for sessions in range(1, 101):
            fleet.change(view(sessions=sessions))
        told = 0
        while (await listener.event())[0]["worker"]["sessions"] != 100:
            told += 1
        assert told <= 1


async def test_who_leaves_is_watched_for_no_longer_and_others_get_the_place(http: aiohttp.ClientSession) -> None:
    fleet = FakeFleet(view())
    async with served(FakeHost(), fleet=fleet) as url:
        for _ in range(3):
            async with http.get(f"{url}/workers/events") as response:
                await Listener(response).event()
                response.close()
            async with asyncio.timeout(5):
                while fleet.watchers:
                    fleet.change(*fleet.views)
                    await asyncio.sleep(0)


async def test_there_are_only_so_many_listeners(http: aiohttp.ClientSession) -> None:
    async with served(FakeHost(), fleet=FakeFleet(view())) as url:
        open_ones = []
        for _ in range(32):
            response = await http.get(f"{url}/workers/events")
            await Listener(response).event()
            open_ones.append(response)
        async with aiohttp.ClientSession() as another, another.get(f"{url}/workers/events") as refused:
            assert refused.status == 503
            assert (await refused.json())["code"] == "too-many-connections"
        for response in open_ones:
            response.close()


async def test_the_end_of_the_gateway_ends_the_events_at_once(http: aiohttp.ClientSession) -> None:
    fleet = FakeFleet(WorkerView(worker=view().worker))
    async with served(FakeHost(), fleet=fleet) as url:
        response = await http.get(f"{url}/workers/events")
        listener = Listener(response)
        await listener.event()
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 2.0
    await listener.ended()
    assert fleet.watchers == []
