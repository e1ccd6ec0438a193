"""What only the registry in Redis does: its keys and its channel, foreign workers, and a server that misbehaves."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from redis.asyncio import Redis

from adapters.registry.redis import RedisRegistry
from protocol.errors import BusUnavailable, SettingsInvalid
from tests.adapters.registry_stage import (
    HEARTBEAT_S,
    SOON_S,
    TTL_S,
    WORKER,
    Watcher,
    a_redis_registry,
    a_worker,
    eventually,
)
from tests.redis_server import RedisServer

pytestmark = pytest.mark.system

FOREIGN = "tts-cosyvoice2@0"
DOCUMENTED = {
    "name": str,
    "addr": str,
    "capabilities": dict,
    "resident_models": list,
    "models": list,
    "metrics": dict,
    "state": str,
    "sessions": int,
    "capacity": int,
}


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    """Another program on the same server."""
    client = redis_server.client()
    yield client
    await client.aclose()


@pytest.fixture
async def here(redis_server: RedisServer) -> AsyncIterator[RedisRegistry]:
    registry = a_redis_registry(redis_server.url)
    yield registry
    await registry.close()


@pytest.fixture
async def there(redis_server: RedisServer) -> AsyncIterator[RedisRegistry]:
    registry = a_redis_registry(redis_server.url)
    yield registry
    await registry.close()


def a_foreign_document(name: str = FOREIGN, addr: str = "nats://tts-cosyvoice2-0") -> str:
    return json.dumps({"name": name, "addr": addr, "models": ["cosyvoice2-en-base"], "state": "ready"})


async def announce_as_others_do(redis: Redis, name: str = FOREIGN, document: str | None = None, ex: int = 60) -> None:
    await redis.set(f"tts:workers:{name}", document or a_foreign_document(name), ex=ex)
    await redis.sadd("tts:workers", name)
    await redis.publish("tts:workers:events", json.dumps({"event": "announce", "name": name}))


async def a_document(redis: Redis, key: str) -> Any:
    return json.loads(await redis.get(key) or "null")


async def an_event(events: Any) -> Any:
    async with asyncio.timeout(SOON_S):
        while True:
            message = await events.get_message(ignore_subscribe_messages=True, timeout=SOON_S)
            if message is not None:
                return json.loads(message["data"])


# --- what is written -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("kind", "prefix"), [("tts", "tts:workers"), ("asr", "asr:workers")])
async def test_ours_stands_in_redis_as_the_contract_says(
    redis: Redis, here: RedisRegistry, kind: str, prefix: str
) -> None:
    worker = a_worker(f"{kind}-ours-0", kind=kind)
    async with aclosing(redis.pubsub()) as events:
        await events.subscribe(f"{prefix}:events")
        await here.announce(worker)
        assert await an_event(events) == {"event": "announce", "name": worker.name}
        document = await a_document(redis, f"{prefix}:{worker.name}")
        assert {key: type(document[key]) for key in DOCUMENTED} == DOCUMENTED
        assert document["addr"] == f"nats://{worker.name}"
        assert await redis.smembers(prefix) == {worker.name}
        assert 0 < await redis.pttl(f"{prefix}:{worker.name}") <= TTL_S * 1000
        await here.withdraw(worker.name)
        assert await an_event(events) == {"event": "withdraw", "name": worker.name}
        assert await redis.keys("*") == []


async def test_a_heartbeat_renews_and_publishes_nothing(redis: Redis, here: RedisRegistry) -> None:
    await here.announce(WORKER)
    async with aclosing(redis.pubsub()) as events:
        await events.subscribe("tts:workers:events")
        await redis.delete(f"tts:workers:{WORKER.name}", "tts:workers")
        await eventually(lambda: _has_come_back(redis))
        await here.announce(replace(WORKER, sessions=1))
        assert await an_event(events) == {"event": "announce", "name": WORKER.name}
        document = await a_document(redis, f"tts:workers:{WORKER.name}")
        assert document["sessions"] == 1  # the first event that came is the one of the change


async def _has_come_back(redis: Redis) -> bool:
    return bool(await redis.exists(f"tts:workers:{WORKER.name}")) and await redis.smembers("tts:workers") == {
        WORKER.name
    }


async def test_another_prefix_is_another_registry(
    redis_server: RedisServer, redis: Redis, there: RedisRegistry
) -> None:
    elsewhere = a_redis_registry(redis_server.url, tts_prefix="blue:tts", asr_prefix="blue:asr")
    await elsewhere.announce(WORKER)
    assert await redis.smembers("blue:tts") == {WORKER.name}
    await there.watch(lambda *_: None)
    assert there.snapshot() == ()
    await elsewhere.close()


def test_two_kinds_in_one_place_are_refused() -> None:
    with pytest.raises(SettingsInvalid, match="asr_prefix"):
        RedisRegistry("redis://127.0.0.1", tts_prefix="w", asr_prefix="w")


# --- workers of others -----------------------------------------------------------------------------------------------
async def test_a_foreign_worker_is_seen_by_the_token_of_its_address(redis: Redis, there: RedisRegistry) -> None:
    watcher = Watcher()
    await there.watch(watcher)
    await announce_as_others_do(redis)
    name, worker = await watcher.next()
    assert name == "tts-cosyvoice2-0"
    assert worker is not None
    assert worker.models == ("cosyvoice2-en-base",)
    await redis.srem("tts:workers", FOREIGN)
    await redis.publish("tts:workers:events", json.dumps({"event": "withdraw", "name": FOREIGN}))
    assert await watcher.next() == (name, None)  # although its key is left to expire


async def test_an_event_that_was_missed_is_made_up_for(redis: Redis, there: RedisRegistry) -> None:
    watcher = Watcher()
    await there.watch(watcher)
    await redis.set(f"tts:workers:{FOREIGN}", a_foreign_document(), ex=60)
    await redis.sadd("tts:workers", FOREIGN)
    assert (await watcher.next())[0] == "tts-cosyvoice2-0"
    await redis.delete(f"tts:workers:{FOREIGN}")
    assert await watcher.next() == ("tts-cosyvoice2-0", None)


@pytest.mark.realtime
async def test_a_key_that_expires_without_a_word_is_noticed_and_its_name_forgotten(
    redis: Redis, there: RedisRegistry
) -> None:
    watcher = Watcher()
    await there.watch(watcher)
    await announce_as_others_do(redis, ex=1)
    await watcher.next()
    assert await watcher.next() == ("tts-cosyvoice2-0", None)
    assert await redis.smembers("tts:workers") == {FOREIGN}  # its document may be written again in a moment

    async def is_forgotten() -> bool:
        return not await redis.exists("tts:workers")

    await eventually(is_forgotten)


async def test_two_foreign_workers_behind_one_name_are_one_and_a_reason(redis: Redis, there: RedisRegistry) -> None:
    watcher = Watcher()
    await there.watch(watcher)
    await announce_as_others_do(redis, "w@0", a_foreign_document("w@0", ""))
    assert (await watcher.next())[0] == "w-0"
    with structlog.testing.capture_logs() as logs:
        await announce_as_others_do(redis, "w.0", a_foreign_document("w.0", ""))
        await announce_as_others_do(redis, "other", a_foreign_document("other", ""))
        assert (await watcher.next())[0] == "other"
    assert [line["worker"] for line in logs if "refused" in line["event"]] == ["w.0"]
    await redis.delete("tts:workers:w@0")
    assert await watcher.next() == ("w-0", None)
    assert (await watcher.next())[0] == "w-0"


async def test_nonsense_in_redis_harms_nobody(redis: Redis, here: RedisRegistry, there: RedisRegistry) -> None:
    await redis.sadd("tts:workers", "list", "huge", "x" * 500, "nobody", b"\xff\xfe")
    await redis.rpush("tts:workers:list", "a")
    await redis.set("tts:workers:huge", "x" * 2_000_000)
    watcher = Watcher()
    await there.watch(watcher)
    for nonsense in ("{", "3", '{"event": "announce", "name": "nobody"}', "x" * 100_000):
        await redis.publish("tts:workers:events", nonsense)
    await here.announce(WORKER)
    assert await watcher.next() == (WORKER.name, WORKER)


async def test_a_set_that_is_none_is_said_to_be(redis: Redis, there: RedisRegistry) -> None:
    await redis.set("tts:workers", "?")
    with pytest.raises(BusUnavailable, match="WRONGTYPE"):
        await there.watch(lambda *_: None)


# --- a server that misbehaves ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["pubsub", "normal"])
async def test_a_connection_that_the_server_closes_is_made_anew(
    redis: Redis, here: RedisRegistry, there: RedisRegistry, kind: str
) -> None:
    watcher = Watcher()
    await there.watch(watcher)
    await here.announce(WORKER)
    await watcher.next()
    await redis.client_kill_filter(_type=kind, skipme=True)
    busy = replace(WORKER, sessions=1)
    await here.announce(busy)
    assert await watcher.next() == (WORKER.name, busy)


@pytest.mark.realtime
async def test_a_server_that_hangs_is_an_outage_told_of_once(
    redis_server: RedisServer, here: RedisRegistry, there: RedisRegistry
) -> None:
    watcher = Watcher()
    await there.watch(watcher)
    await here.announce(WORKER)
    await watcher.next()
    with structlog.testing.capture_logs() as logs:
        redis_server.process().kill(signal.SIGSTOP)
        await asyncio.sleep(20 * HEARTBEAT_S)  # what is tested is that this time passes and little is said
        redis_server.process().kill(signal.SIGCONT)
        busy = replace(WORKER, sessions=1)
        await here.announce(busy)
        assert await watcher.next() == (WORKER.name, busy)
    said = [line["event"] for line in logs if line["log_level"] == "warning"]
    assert sorted(said) == ["heartbeat failed", "registry not readable"]


async def test_without_a_server_the_first_word_says_so(tmp_path: Path) -> None:
    gone = RedisServer(tmp_path)
    registry = RedisRegistry(gone.url.replace("redis://", "redis://user:geheim@"))
    with pytest.raises(BusUnavailable, match=f"127.0.0.1:{gone.port}") as watching:
        await registry.watch(lambda *_: None)
    with pytest.raises(BusUnavailable) as announcing:
        await registry.announce(WORKER)
    assert "geheim" not in f"{watching.value} {announcing.value} {registry.where}"
    await registry.close()


@pytest.mark.parametrize("url", ["http://u:geheim@h", "redis://u:ge#heim@h", "redis://u:geheim@h?no_such_option=1"])
def test_a_wrong_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"redis\.url") as refused:
        RedisRegistry(url)
    assert "heim" not in str(refused.value)


# --- passwords and TLS -----------------------------------------------------------------------------------------------
async def test_a_password_opens_and_a_wrong_one_does_not_and_none_is_logged(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--requirepass", "geheim", url="redis://:geheim@127.0.0.1:{port}/0")
    await server.start()
    registry, stranger = a_redis_registry(server.url), a_redis_registry(server.url.replace("geheim", "falsch"))
    with structlog.testing.capture_logs() as logs:
        await registry.announce(WORKER)
        with pytest.raises(BusUnavailable, match="invalid") as refused:
            await stranger.watch(lambda *_: None)
        await server.stop()
        await registry.announce(replace(WORKER, sessions=1))
        await registry.close()
    assert logs
    assert not [word for word in ("geheim", "falsch") if word in f"{logs} {refused.value}"]
    await stranger.close()


async def test_the_rights_that_the_documentation_names_are_enough(redis_server: RedisServer, redis: Redis) -> None:
    page = (Path(__file__).parents[2] / "docs" / "registry.md").read_text()
    commands = re.findall("`([A-Z]+)`", next(line for line in page.splitlines() if "The user needs" in line))
    allowed = [f"+{command.lower()}" for command in commands]
    await redis.acl_setuser(
        "worker",
        enabled=True,
        passwords=["+geheim"],
        commands=allowed,
        keys=["tts:workers*", "asr:workers*"],
        channels=["tts:workers:events", "asr:workers:events"],
    )
    url = redis_server.url.replace("redis://", "redis://worker:geheim@")
    registry = a_redis_registry(url)
    await redis.sadd("tts:workers", "stale")
    watcher = Watcher()
    with structlog.testing.capture_logs() as logs:
        await registry.watch(watcher)
        await registry.announce(WORKER)
        assert await watcher.next() == (WORKER.name, WORKER)
        await eventually(lambda: _is_forgotten(redis, "stale"))
        await registry.withdraw(WORKER.name)
        assert await watcher.next() == (WORKER.name, None)
        await registry.close()
    assert [line for line in logs if line["log_level"] == "warning"] == []


async def _is_forgotten(redis: Redis, name: str) -> bool:
    return not await redis.sismember("tts:workers", name)


async def test_a_registry_may_be_reached_by_tls(tmp_path: Path) -> None:
    certificate = await a_certificate(tmp_path)
    tls = ["--tls-cert-file", f"{tmp_path}/cert.pem", "--tls-key-file", f"{tmp_path}/key.pem"]
    server = RedisServer(
        tmp_path / "redis",
        *("--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "no", *tls),
        url=f"rediss://127.0.0.1:{{port}}/0?ssl_ca_certs={certificate}",
    )
    await server.start()
    here, there = a_redis_registry(server.url), a_redis_registry(server.url)
    watcher = Watcher()
    await there.watch(watcher)
    await here.announce(WORKER)
    assert await watcher.next() == (WORKER.name, WORKER)
    distrustful = a_redis_registry(server.url.partition("?")[0])
    with pytest.raises(BusUnavailable, match=r"(?i)certificate"):
        await distrustful.watch(lambda *_: None)
    for registry in (here, there, distrustful):
        await registry.close()
    await server.stop()


async def a_certificate(folder: Path) -> Path:
    """Of 127.0.0.1, signed by itself."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"]
    process = await asyncio.create_subprocess_exec(*command.split(), *names, stderr=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0
    return folder / "cert.pem"
