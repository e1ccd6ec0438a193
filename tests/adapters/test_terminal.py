"""Microphone and loudspeaker, with PortAudio's Python side played by the test: the machines that test have neither."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from adapters.transport.terminal import Loudspeaker, Microphone, list_devices
from protocol.errors import SoundUnavailable


class PortAudioError(Exception):
    pass


class Stream:
    """A device's stream; the test turns its crank by calling `callback`."""

    opened: "list[Stream]"

    def __init__(self, *, samplerate: int, blocksize: int, callback: Callable[..., None], **options: Any) -> None:
        self.samplerate = samplerate
        self.blocksize = blocksize
        self.callback = callback
        self.options = options
        self.latency = 0.02
        self.started = self.closed = False
        Stream.opened.append(self)

    def start(self) -> None:
        self.started = True

    def close(self) -> None:
        self.closed = True

    def hears(self, pcm: bytes) -> None:
        self.callback(pcm, len(pcm) // 2, None, None)

    def plays(self) -> bytes:
        block = bytearray(2 * self.blocksize)
        self.callback(memoryview(block), self.blocksize, None, None)
        return bytes(block)


def install(monkeypatch: pytest.MonkeyPatch, *, own_rate: int | None = None, broken: bool = False) -> None:
    """`own_rate`: the devices take no other rate; `broken`: there are none."""

    def check(*, samplerate: int, channels: int, dtype: str) -> None:
        assert (channels, dtype) == (1, "int16")
        if broken or own_rate not in (None, samplerate):
            raise PortAudioError("Invalid sample rate")

    def query(kind: str) -> dict[str, Any]:
        if broken:
            raise PortAudioError("Error querying device -1")
        return {"default_samplerate": float(own_rate or 48_000), "name": f"the {kind}"}

    def stream(**options: Any) -> Stream:
        if broken:
            raise PortAudioError("Error querying device -1")
        return Stream(**options)

    Stream.opened = []
    module = SimpleNamespace(
        PortAudioError=PortAudioError,
        check_input_settings=check,
        check_output_settings=check,
        query_devices=query,
        RawInputStream=stream,
        RawOutputStream=stream,
    )
    monkeypatch.setitem(sys.modules, "sounddevice", module)


def test_the_microphone_gives_twenty_milliseconds_whatever_the_device_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    heard: list[bytes] = []
    microphone = Microphone(heard.append)
    (stream,) = Stream.opened
    microphone.start()
    sound = np.arange(1_000, dtype=np.int16).tobytes()
    for size in (300, 1_000, 700):
        stream.hears(sound[:size])
        sound = sound[size:]
    assert (stream.samplerate, stream.started) == (16_000, True)
    assert [len(pcm) for pcm in heard] == [640] * 3
    assert b"".join(heard) == np.arange(960, dtype=np.int16).tobytes()
    microphone.close()
    assert stream.closed


def test_a_microphone_with_a_rate_of_its_own_is_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, own_rate=44_100)
    heard: list[bytes] = []
    Microphone(heard.append)
    (stream,) = Stream.opened
    tone = (10_000 * np.sin(2 * np.pi * 300 * np.arange(44_100) / 44_100)).astype(np.int16)
    for block in np.split(tone, 50):
        stream.hears(block.tobytes())
    assert stream.samplerate == 44_100
    assert 45 <= len(heard) <= 50
    assert abs(int(np.frombuffer(b"".join(heard), np.int16)[2_000:8_000].max()) - 10_000) < 100


def test_the_loudspeaker_plays_what_is_written_after_its_lead_and_asks_for_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch)
    wanted: list[int] = []
    loudspeaker = Loudspeaker(lambda: wanted.append(1))
    (stream,) = Stream.opened
    loudspeaker.start()
    first = np.full(960, 7, np.int16).tobytes()
    loudspeaker.write(first)
    loudspeaker.write(None)
    assert [stream.plays() for _ in range(4)] == [bytes(1_920), bytes(1_920), first, bytes(1_920)]
    assert len(wanted) == 4
    assert loudspeaker.latency_s == pytest.approx(0.06)
    loudspeaker.close()
    assert stream.closed


def test_a_loudspeaker_that_nobody_feeds_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    Loudspeaker(lambda: None)
    (stream,) = Stream.opened
    assert not any(b"".join(stream.plays() for _ in range(5)))


def test_a_loudspeaker_with_a_rate_of_its_own_is_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, own_rate=44_100)
    loudspeaker = Loudspeaker(lambda: None)
    (stream,) = Stream.opened
    for _ in range(20):
        loudspeaker.write(np.full(960, 1_000, np.int16).tobytes())
    played = np.frombuffer(b"".join(stream.plays() for _ in range(15)), np.int16)
    assert stream.samplerate == 44_100
    assert abs(int(played[-1_000:].mean()) - 1_000) < 20


@pytest.mark.parametrize("device", [Microphone, Loudspeaker])
def test_no_device_is_explained_with_another_way(device: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, broken=True)
    with pytest.raises(SoundUnavailable, match=r"--in user\.wav"):
        device(lambda *_: None)


@pytest.mark.parametrize("device", [Microphone, Loudspeaker])
def test_a_missing_package_is_explained(device: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(SoundUnavailable, match=r"pip install 'antiphon\[mic\]'"):
        device(lambda *_: None)


def test_a_missing_library_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    class _NoPortAudio:
        def find_spec(self, name: str, _path: object, _target: object = None) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [_NoPortAudio(), *sys.meta_path])
    with pytest.raises(SoundUnavailable, match="libportaudio2"):
        Microphone(lambda _: None)


def test_the_devices_are_listed_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    assert list_devices() == "the input and the output"
    install(monkeypatch, broken=True)
    with pytest.raises(SoundUnavailable, match="no microphone or no loudspeaker"):
        list_devices()
