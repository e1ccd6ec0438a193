import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest

from adapters.server.embedded_nats import SETTINGS, EmbeddedNats
from protocol.errors import BusUnavailable

ROOT = Path(__file__).resolve().parents[2]
SOON_S = 10.0


async def test_it_comes_back_on_the_same_port(nats_server: EmbeddedNats) -> None:
    url, first = nats_server.url, nats_server.pid
    os.kill(first or 0, signal.SIGKILL)
    assert await nats_server.wait() == -signal.SIGKILL
    await nats_server.start()
    assert nats_server.url == url
    assert nats_server.pid != first


async def test_starting_it_twice_is_starting_it_once(nats_server: EmbeddedNats) -> None:
    first = nats_server.pid
    await nats_server.start()
    assert nats_server.pid == first


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(BusUnavailable, match=f"port {port} of 127.0.0.1 is taken"):
            await EmbeddedNats(tmp_path, port=port).start()


async def test_another_nats_server_on_its_port_is_not_mistaken_for_it(
    nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    with pytest.raises(BusUnavailable, match="is taken"):
        await EmbeddedNats(tmp_path / "other", port=nats_server.port).start()


async def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BusUnavailable, match=r"cannot keep its data in .*file/nats: Not a directory"):
        await EmbeddedNats(tmp_path / "file" / "nats").start()


async def test_what_the_server_says_of_its_failure_is_told(tmp_path: Path) -> None:
    server = EmbeddedNats(tmp_path, host="not-a-host.invalid", port=4222)
    with pytest.raises(BusUnavailable, match="did not start: "):
        await server.start()


async def test_stopping_what_does_not_run_is_harmless(tmp_path: Path) -> None:
    server = EmbeddedNats(tmp_path)
    await server.stop()
    await server.start()
    await server.stop()
    await server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's promise is Linux's own")
@pytest.mark.parametrize("runner", ["asyncio", "uvloop"])
async def test_it_never_outlives_a_parent_that_was_killed(tmp_path: Path, runner: str) -> None:
    program = (
        f"import asyncio, pathlib, {runner}\n"
        "from adapters.server.embedded_nats import EmbeddedNats\n"
        "async def main():\n"
        f"    server = EmbeddedNats(pathlib.Path({str(tmp_path)!r}))\n"
        "    await server.start()\n"
        "    print(server.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        f"{runner}.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = psutil.Process(int(await asyncio.wait_for(parent.stdout.readline(), SOON_S)))
    parent.kill()
    await parent.wait()
    gone, _ = await asyncio.to_thread(psutil.wait_procs, [child], timeout=SOON_S)
    assert gone == [child]


def test_the_repository_s_nats_conf_has_the_same_settings() -> None:
    standalone = (ROOT / "nats.conf").read_text()
    for line in SETTINGS.splitlines():
        assert line in standalone
