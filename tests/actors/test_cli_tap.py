import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from actors.cli.tap import tap
from actors.cli.whereabouts import DEFAULT_NATS_URL, nats_url
from adapters.bus.nats import NatsBus
from adapters.server.embedded_nats import EmbeddedNats, binary
from protocol.audio import SPEECH_FRAME, Flags, Frame, Kind
from protocol.conversation import SessionClosed, StateChanged, Transcript
from protocol.errors import BusUnavailable
from protocol.ids import Millis, Samples, SessionId, TurnId, UnixMicros, WorkerName
from protocol.measures import GatewayMeasures, MicrophoneMeasures
from protocol.speaking import TextChunk
from protocol.subjects import gateway_meta, session_control, session_event, session_meta, tts_command, tts_frames
from tests.actors.cli_app import app_with

SESSION = SessionId("s-1")
WORKER = WorkerName("tts-hibari-0")
MEASURES = GatewayMeasures(
    session=SESSION,
    over_ms=Millis(1000),
    microphone=MicrophoneMeasures(frames=50, dropped=0, jitter_ms=0.4, worst_ms=1.5),
)
ROOT = Path(__file__).resolve().parents[2]
_LIMIT_S = 60

pytestmark = pytest.mark.realtime


class RunningTap:
    """`antiphon tap` in a process of its own; `output` is there once it has ended."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tests.actors.cli_app", "tap", *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
        assert self._process.stdout is not None
        self.first_line = self._process.stdout.readline()

    def read_until(self, text: str) -> None:
        assert self._process.stdout is not None
        assert any(text in line for line in self._process.stdout)

    def end(self, *, interrupt: bool = True) -> tuple[int, str]:
        if interrupt:
            self._process.send_signal(signal.SIGINT)
        output, _ = self._process.communicate(timeout=_LIMIT_S)
        return self._process.returncode, output


def frame(number: int, *, turn: int = 1, last: bool = False) -> Frame:
    return Frame(
        kind=Kind.SPEECH,
        turn=TurnId(turn),
        sequence=number,
        position=Samples(number * SPEECH_FRAME),
        captured_at=UnixMicros(0),
        pcm=np.full(SPEECH_FRAME, 100 * turn + number, np.int16).tobytes(),
        flags=Flags.LAST if last else Flags.NONE,
    )


async def converse(bus: NatsBus) -> None:
    """A short one, with a frame that is sent again, two that change places, and a second turn."""
    bus.publish(session_event(SESSION), Transcript(session=SESSION, utterance=1, text="hello there", final=True))
    bus.publish(
        tts_command(SESSION, WORKER), TextChunk(session=SESSION, turn=TurnId(1), index=0, text="Hi.", last=True)
    )
    bus.publish(session_event(SESSION), StateChanged(session=SESSION, state="SPEAKING", turn=TurnId(1)))
    bus.publish(gateway_meta(SESSION), MEASURES)
    for number in (0, 1, 3, 2, 1, 4):
        bus.publish_frame(tts_frames(SESSION, WORKER), frame(number, last=number == 4))
    for number in (0, 1):
        bus.publish_frame(tts_frames(SESSION, WORKER), frame(number, turn=2, last=number == 1))
    bus.publish(session_event(SESSION), SessionClosed(session=SESSION, reason="over"))
    await bus.close()


async def test_a_session_is_shown_in_readable_lines_until_it_is_closed(nats_server: EmbeddedNats) -> None:
    watching = await asyncio.to_thread(RunningTap, "s-1", "--nats", nats_server.url)
    assert "listening" in watching.first_line
    await converse(await NatsBus.connect(nats_server.url, name="test"))
    status, output = await asyncio.to_thread(watching.end, interrupt=False)
    assert status == 0, output
    for expected in ("“hello there”", "→ tts tts-hibari-0", "Hi.", "SPEAKING", "turn 1, 0-4800", "repeated 2", "over"):
        assert expected in output, f"{expected} in:\n{output}"


async def test_json_lines_can_be_read_by_programs(nats_server: EmbeddedNats) -> None:
    watching = await asyncio.to_thread(RunningTap, "s-1", "--nats", nats_server.url, "--json")
    await converse(await NatsBus.connect(nats_server.url, name="test"))
    _, output = await asyncio.to_thread(watching.end, interrupt=False)
    lines = [json.loads(line) for line in output.splitlines()]
    assert json.loads(watching.first_line)["kind"] == "messages and frames"
    messages = {line["message"]["type"]: line for line in lines if "message" in line}
    assert messages["transcript"]["message"]["text"] == "hello there"
    assert messages["text"]["subject"] == "control.tts.s-1.tts-hibari-0.text"
    assert sum(line["frames"]["frames"] for line in lines if "frames" in line) == 8


async def test_the_wav_file_holds_the_speech_by_position(nats_server: EmbeddedNats, tmp_path: Path) -> None:
    file = tmp_path / "tapped.wav"
    watching = await asyncio.to_thread(RunningTap, "s-1", "--nats", nats_server.url, "--wav", str(file))
    await converse(await NatsBus.connect(nats_server.url, name="test"))
    await asyncio.to_thread(watching.end, interrupt=False)
    samples, rate = soundfile.read(file, dtype="int16")
    assert rate == 48_000
    assert samples[::SPEECH_FRAME].tolist() == [100, 101, 102, 103, 104, 200, 201]


async def test_all_sessions_get_a_wav_file_each_and_ctrl_c_ends_it(nats_server: EmbeddedNats, tmp_path: Path) -> None:
    watching = await asyncio.to_thread(
        RunningTap, "--all", "--nats", nats_server.url, "--wav", str(tmp_path / "tapped.wav")
    )
    await converse(await NatsBus.connect(nats_server.url, name="test"))
    await asyncio.to_thread(watching.read_until, "turn 2, ")
    status, output = await asyncio.to_thread(watching.end)
    assert status == 0, output
    assert "Traceback" not in output
    assert len(soundfile.read(tmp_path / "tapped-s-1.wav")[0]) == 7 * SPEECH_FRAME


@pytest.fixture
def guarded_server(tmp_path: Path) -> Iterator[str]:
    """Where `anybody:a` may do anything, `observer:o` is the one of docs/operations.md, `flow:f` may read measures."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    mute = 'publish: { deny: ">" }'
    (tmp_path / "nats.conf").write_text(
        f"""
        listen: "{address}"
        authorization {{ users: [
            {{ user: anybody, password: a }}
            {{ user: observer, password: o, permissions: {{ {mute}, subscribe: ["control.>", "audio.meta.>"] }} }}
            {{ user: flow, password: f, permissions: {{ {mute}, subscribe: "audio.meta.>" }} }}
        ] }}
        """
    )
    server = subprocess.Popen([str(binary()), "-c", str(tmp_path / "nats.conf")], stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    assert any("Server is ready" in line for line in server.stderr)
    yield address
    server.terminate()
    server.communicate(timeout=10)


async def test_the_rights_of_an_observer_are_enough(guarded_server: str) -> None:
    watching = await asyncio.to_thread(RunningTap, "s-1", "--nats", f"nats://observer:o@{guarded_server}")
    assert "may not hear" in watching.first_line
    assert "observer:o" not in watching.first_line
    await converse(await NatsBus.connect(f"nats://anybody:a@{guarded_server}", name="test"))
    status, output = await asyncio.to_thread(watching.end, interrupt=False)
    assert status == 0, output
    assert "hello there" in output
    assert "gateway_measures over_ms 1000, microphone frames=50 dropped=0 jitter_ms=0.4 worst_ms=1.5" in output
    assert "frames  " not in output, "nothing was heard"


async def test_who_may_read_measures_alone_gets_them_and_neither_words_nor_sound(guarded_server: str) -> None:
    got: list[tuple[str, object]] = []
    came = asyncio.Event()

    def on_measures(subject: str, message: object, _respond: object) -> None:
        got.append((subject, message))
        came.set()

    async with asyncio.timeout(_LIMIT_S):
        observer = await NatsBus.connect(f"nats://flow:f@{guarded_server}", name="flow")
        await observer.subscribe(session_meta(SESSION), on_measures)
        with pytest.raises(BusUnavailable):
            await observer.subscribe(session_control(SESSION), on_measures)
        with pytest.raises(BusUnavailable):
            await observer.subscribe_frames(tts_frames(SESSION), lambda *_: None)
        await converse(await NatsBus.connect(f"nats://anybody:a@{guarded_server}", name="test"))
        await came.wait()
        await observer.close()
    ((subject, message),) = got
    assert subject == "audio.meta.s-1.gateway"
    assert isinstance(message, GatewayMeasures)
    assert message.microphone == MEASURES.microphone


def test_no_server_is_one_line_that_names_it() -> None:
    result = CliRunner().invoke(app_with(tap), ["tap", "--all", "--nats", "nats://127.0.0.1:9"])
    assert result.exit_code == 1
    assert "nats://127.0.0.1:9" in result.output
    assert len(result.output.strip().splitlines()) == 1


@pytest.mark.parametrize("arguments", [[], ["s-1", "--all"], ["no.session"], ["NO"]])
def test_what_makes_no_sense_is_a_wrong_usage(arguments: list[str]) -> None:
    assert CliRunner().invoke(app_with(tap), ["tap", *arguments]).exit_code == 2


def test_the_help_shows_an_example() -> None:
    assert "antiphon tap --all" in CliRunner().invoke(app_with(tap), ["tap", "--help"]).output


def test_the_running_systems_server_is_found_in_its_data_directory(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"nats": "nats://127.0.0.1:4999"}')
    assert nats_url(None, tmp_path) == "nats://127.0.0.1:4999"
    assert nats_url("nats://elsewhere:1", tmp_path) == "nats://elsewhere:1"


@pytest.mark.parametrize("content", [None, "", "{}", "[]", "nonsense"])
def test_without_a_running_system_everybodys_port_is_tried(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    assert nats_url(None, tmp_path) == DEFAULT_NATS_URL
