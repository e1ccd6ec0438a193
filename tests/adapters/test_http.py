from collections.abc import AsyncIterator

import aiohttp
import orjson
import pytest

from tests.adapters.serving import served
from tests.fakes.host import FakeHost

KEY = "a-key-that-nobody-guesses"


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_the_page_is_served_with_headers_that_allow_only_its_own_modules(http: aiohttp.ClientSession) -> None:
    async with served(FakeHost()) as url, http.get(url) as response:
        assert response.status == 200
        assert response.content_type == "text/html"
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "Server" not in response.headers
        assert not [h for h in response.headers if h.lower().startswith("access-control")]


async def test_static_files_are_served_and_nothing_outside_of_them(http: aiohttp.ClientSession) -> None:
    async with served(FakeHost()) as url:
        async with http.get(f"{url}/static/index.html") as response:
            assert response.status == 200
        async with http.get(f"{url}/static/..%2ftransport%2fhttp.py") as response:
            assert response.status in (403, 404)


async def test_health_answers_always_and_readiness_names_what_is_missing(http: aiohttp.ClientSession) -> None:
    host = FakeHost()
    async with served(host) as url:
        async with http.get(f"{url}/readyz") as response:
            assert response.status == 200
            assert (await response.json())["ready"] is True
        host.ready = False
        async with http.get(f"{url}/healthz") as response:
            assert response.status == 200
        async with http.get(f"{url}/readyz") as response:
            assert response.status == 503
            assert (await response.json())["missing"] == ["connection to NATS"]


async def test_metrics_are_shown_in_the_text_format(http: aiohttp.ClientSession) -> None:
    async with served(FakeHost()) as url, http.get(f"{url}/metrics") as response:
        assert response.status == 200
        assert response.content_type == "text/plain"
        assert "antiphon_connections" in await response.text()


@pytest.mark.parametrize(
    "given",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {KEY}"}, {"Authorization": "Bearer schlüssel"}],
)
@pytest.mark.parametrize("path", ["/ws", "/offer", "/metrics"])
async def test_without_the_key_nothing_is_granted(
    http: aiohttp.ClientSession, path: str, given: dict[str, str]
) -> None:
    async with served(FakeHost(), api_key=KEY) as url:
        method = "POST" if path == "/offer" else "GET"
        async with http.request(method, url + path, headers=given) as response:
            assert response.status == 401
            refused = await response.json()
            assert (refused["type"], refused["code"]) == ("refused", "unauthorized")
            assert KEY not in await response.text()


async def test_the_key_is_taken_from_the_header_or_from_the_address(http: aiohttp.ClientSession) -> None:
    async with served(FakeHost(), api_key=KEY) as url:
        async with http.get(f"{url}/metrics", headers={"Authorization": f"Bearer {KEY}"}) as response:
            assert response.status == 200
        async with http.get(f"{url}/metrics", params={"key": KEY}) as response:
            assert response.status == 200


async def test_the_page_and_health_need_no_key(http: aiohttp.ClientSession) -> None:
    async with served(FakeHost(), api_key=KEY) as url:
        for path in ("/", "/healthz", "/readyz"):
            async with http.get(url + path) as response:
                assert response.status == 200


@pytest.mark.parametrize("path", ["/ws", "/offer"])
async def test_a_page_of_another_site_is_refused(http: aiohttp.ClientSession, path: str) -> None:
    async with served(FakeHost()) as url:
        method = "POST" if path == "/offer" else "GET"
        async with http.request(method, url + path, headers={"Origin": "https://elsewhere.example"}) as response:
            assert response.status == 403
            assert (await response.json())["code"] == "foreign-origin"


async def test_what_does_not_exist_is_refused_as_json(http: aiohttp.ClientSession) -> None:
    async with served(FakeHost()) as url:
        async with http.get(f"{url}/nothing") as response:
            assert response.status == 404
            assert (await response.json())["code"] == "not-found"
        async with http.get(f"{url}/offer") as response:
            assert response.status == 405
            assert (await response.json())["type"] == "refused"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "malformed"),
        (b"[]", "malformed"),
        (b'{"type":"offer","sdp":5}', "malformed"),
        (b'{"type":"answer","sdp":"v=0"}', "malformed"),
        (orjson.dumps({"type": "offer", "sdp": "v=0\r\nm=audio 9 x\r\nnonsense"}), "malformed"),
        (orjson.dumps({"type": "offer", "sdp": "v=0" + "\r\nm=video 9 x 0" * 50}), "malformed"),
        (
            orjson.dumps({"type": "offer", "sdp": "v=0\r\nm=audio 9 x", "session": "../x", "token": "y" * 20}),
            "malformed",
        ),
        (orjson.dumps({"type": "offer", "sdp": "v=0\r\nm=audio 9 x", "config": {"voise": "heart"}}), "malformed"),
        (b" " * 70_000, "too-large"),
    ],
)
async def test_an_offer_that_is_none_is_refused(http: aiohttp.ClientSession, body: bytes, code: str) -> None:
    host = FakeHost()
    async with (
        served(host) as url,
        http.post(f"{url}/offer", data=body, headers={"Content-Type": "application/json"}) as response,
    ):
        assert 400 <= response.status < 500
        refused = await response.json()
        assert (refused["type"], refused["code"]) == ("refused", code)
        assert not host.conversations


async def test_an_offer_has_to_say_that_it_is_json(http: aiohttp.ClientSession) -> None:
    async with served(FakeHost()) as url, http.post(f"{url}/offer", data=b"{}") as response:
        assert response.status == 415
