"""Which rights the directory of sessions needs on a NATS server: those that docs/operations.md lists are enough."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from adapters.bus.nats import NatsBus
from adapters.registry.nats_sessions import BUCKET, NatsSessions
from adapters.server.child_process import ChildProcess
from adapters.server.embedded_nats import EmbeddedNats, binary
from protocol.errors import BusUnavailable
from tests.adapters.directory_stage import SOON_S, an_entry

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
ONE = an_entry("s-1")


def rights_of(role: str) -> str:
    """The subjects that the page lets a role publish on for this, as a server's configuration has them."""
    (row,) = re.findall(rf"^\| {role} \| (.*?) \|", PAGE.read_text(), re.MULTILINE)
    subjects = re.findall(r"`([^`]+)`", row)
    assert subjects
    return ", ".join(f'"{subject}"' for subject in subjects)


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """A server with a user `gateway` and a user `observer`; the password of each is its name. `admin` may do all."""
    spare = EmbeddedNats(tmp_path / "spare")
    await spare.start()
    await spare.stop()
    users = "".join(
        f"{{ user: {role}, password: {role}, permissions: {{ publish: {{ allow: [{rights_of(role)}] }}, "
        f'subscribe: {{ allow: ["_INBOX.>"] }} }} }}\n'
        for role in ("gateway", "observer")
    )
    conf = tmp_path / "guarded.conf"
    conf.write_text(
        f'listen: "127.0.0.1:{spare.port}"\njetstream {{ store_dir: "{tmp_path / "js"}" }}\n'
        f"authorization {{ users: [\n{users}{{ user: admin, password: admin }}\n] }}\n"
    )
    server = ChildProcess([str(binary()), "--config", str(conf)], log_file=tmp_path / "guarded.log")
    await server.start()
    yield f"127.0.0.1:{spare.port}"
    await server.stop()


async def connected(url: str, role: str, stack: AsyncExitStack) -> NatsBus:
    async with asyncio.timeout(SOON_S):
        while True:
            try:
                bus = await NatsBus.connect(f"nats://{role}:{role}@{url}", name=role)
            except BusUnavailable:
                await asyncio.sleep(0.02)  # it starts
            else:
                stack.push_async_callback(bus.close)
                return bus


async def test_a_gateway_writes_and_an_observer_reads_with_these_rights_and_writes_nothing(url: str) -> None:
    async with AsyncExitStack() as stack:
        ours, theirs = await connected(url, "gateway", stack), await connected(url, "observer", stack)
        gateway, observer = NatsSessions(ours), NatsSessions(theirs)
        assert await observer.entries() == []
        admin = (await connected(url, "admin", stack)).client
        made = await admin.subscribe("$JS.EVENT.ADVISORY.STREAM.CREATED.*")
        await admin.flush()
        gateway.write(ONE)
        await made.next_msg(timeout=SOON_S)
        watcher = await (await theirs.client.jetstream().key_value(BUCKET)).watchall()
        async with asyncio.timeout(SOON_S):
            while (update := await anext(aiter(watcher))) is None or update.key != ONE.session:
                pass
        await watcher.stop()  # type: ignore[no-untyped-call]  # nats-py
        assert await observer.entries() == [ONE]
        assert theirs._denied == ours._denied == []

        observer.write(an_entry("s-2"))
        await observer.close()
        assert [line for line in theirs._denied if "$kv.sessions" in line]
        reader = NatsSessions(theirs)
        assert await reader.entries() == [ONE]
        await reader.close()
        await gateway.close()
