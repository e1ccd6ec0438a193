import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.rtp import RtpPacket

from adapters.transport.opus import NOTHING, OpusEar, OpusVoiceEncoder
from adapters.transport.webrtc_audio import MicrophoneTap, Voice, VoiceTrack
from protocol.audio import MIC_FRAME, SPEECH_FRAME, Flags, Frame
from tests.clients.sound import Pcm16
from tests.fakes.speech import a_frame, frames

LOUD = (8_000 * np.sin(np.arange(SPEECH_FRAME) / 10)).astype(np.int16).tobytes()


@dataclass
class Listener:
    """A tap, what sends to it and what hears of it."""

    heard: list[bytes] = field(default_factory=list)
    alive: int = 0
    tap: MicrophoneTap = field(init=False)
    encoder: OpusVoiceEncoder = field(default_factory=OpusVoiceEncoder)
    payloads: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tap = MicrophoneTap(self.heard.append, self._alive)

    def _alive(self) -> None:
        self.alive += 1

    def receive(self, *numbers: int, jump: int = 0) -> None:
        """Packets of loud sound; `jump` is added to their timestamps."""
        for number in numbers:
            packet = RtpPacket(payload_type=111, sequence_number=number & 0xFFFF)
            packet.timestamp = (number * SPEECH_FRAME + jump) & 0xFFFFFFFF
            packet.payload = self.payloads.setdefault(number, self.encoder.encode(LOUD))
            self.tap.add(packet)

    def tick(self, count: int) -> None:
        for _ in range(count):
            self.tap.tick()

    def loudness(self) -> list[bool]:
        """Of each frame that was heard: whether it is loud (apart from its first 3 ms, which hold what came before)."""
        return [bool(np.abs(np.frombuffer(pcm, np.int16).astype(int))[48:].max() > 1_000) for pcm in self.heard]


def test_each_packet_is_heard_as_soon_as_it_is_here() -> None:
    listener = Listener()
    for number in range(65_530, 65_545):
        before = len(listener.heard)
        listener.receive(number)
        assert len(listener.heard) == before + 1
    assert {len(pcm) for pcm in listener.heard} == {2 * MIC_FRAME}
    assert listener.alive == 15


def test_silence_takes_the_place_of_a_lost_packet() -> None:
    listener = Listener()
    listener.receive(1, 2, 3, 5, 6, 7, 8)
    assert listener.loudness() == [True, True, True, False, True, True, True, True]


def test_a_client_that_falls_silent_is_heard_to_be_silent_but_not_for_ever() -> None:
    listener = Listener()
    listener.receive(1, 2)
    listener.tick(5)
    assert len(listener.heard) == 2
    listener.tick(3)
    assert listener.loudness() == [True, True, False, False, False]
    listener.tick(1_000)
    assert len(listener.heard) == 2 + 50


def test_silence_that_was_heard_meanwhile_is_not_made_up_for_again() -> None:
    listener = Listener()
    listener.receive(1)
    listener.tick(15)
    assert len(listener.heard) == 11
    listener.receive(2, jump=15 * SPEECH_FRAME)
    assert listener.loudness() == [True] + [False] * 15 + [True]


def test_a_long_pause_is_not_made_up_for() -> None:
    listener = Listener()
    listener.receive(1)
    listener.receive(2, jump=1_000 * SPEECH_FRAME)
    assert listener.loudness() == [True, True]


def test_a_flood_is_not_even_decoded_and_time_makes_room_again() -> None:
    listener = Listener()
    listener.receive(*range(450))
    assert len(listener.heard) == 250
    listener.tick(4)
    listener.receive(*range(450, 500))
    assert 250 < len(listener.heard) <= 250 + 10 + 50, "ten packets, and at most a second of silence for the lost ones"


@pytest.mark.parametrize("junk", [b"", b"\xff" * 30, b"\x7f"])
def test_junk_is_survived(junk: bytes) -> None:
    listener = Listener()
    listener.payloads[2] = junk
    listener.receive(1, 2, 3, 4)
    assert listener.loudness()[-1]


async def test_the_installed_aiortc_keeps_its_jitter_buffer_where_the_tap_expects_it() -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    receiver = connection.addTransceiver("audio").receiver
    tap = Listener().tap
    tap.put_into(receiver)
    assert getattr(receiver, "_RTCRtpReceiver__jitter_buffer") is tap  # noqa: B009  # mypy sees no private names
    await connection.close()


def test_another_aiortc_is_refused_rather_than_left_deaf() -> None:
    with pytest.raises(RuntimeError, match="aiortc"):
        Listener().tap.put_into(object())  # type: ignore[arg-type]  # something that has no such buffer


# --- the other direction ---------------------------------------------------------------------------------------------
@dataclass
class Sent:
    """A voice whose packets are kept."""

    to_say: list[Frame | None] = field(default_factory=list)
    packets: list[tuple[bytes, int]] = field(default_factory=list)
    now: int = 100

    def voice(self, attentive_s: float = 0.1) -> Voice:
        track = VoiceTrack()
        track.send = lambda payload, pts: self.packets.append((payload, pts))  # type: ignore[method-assign]  # to watch
        return Voice(track, lambda: self.to_say.pop(0) if self.to_say else None, attentive_s=attentive_s)

    def run(self, voice: Voice, periods: int) -> None:
        for _ in range(periods):
            self.now += 1
            voice.tick(self.now)

    def decoded(self) -> Pcm16:
        ear = OpusEar()
        return np.concatenate([ear.decode(payload) for payload, _ in self.packets])


async def test_each_period_takes_one_frame_and_its_time() -> None:
    sent = Sent(to_say=[*frames(5)])
    sent.run(sent.voice(), 5)
    assert [pts for _, pts in sent.packets] == [i * SPEECH_FRAME for i in range(5)]
    assert not sent.to_say


async def test_periods_that_the_loop_missed_are_made_up_for() -> None:
    sent = Sent(to_say=[*frames(10)])
    voice = sent.voice()
    sent.run(voice, 1)
    sent.now += 4
    voice.tick(sent.now)
    assert len(sent.packets) == 5


async def test_after_a_long_absence_time_goes_on_and_nothing_is_poured_out() -> None:
    sent = Sent(to_say=[*frames(10)])
    voice = sent.voice()
    sent.run(voice, 1)
    sent.now += 100
    voice.tick(sent.now)
    assert [pts // SPEECH_FRAME for _, pts in sent.packets] == [0, 100]


async def test_in_silence_only_a_sign_of_life_is_sent() -> None:
    sent = Sent()
    sent.run(sent.voice(attentive_s=0.1), 50)
    assert [pts // SPEECH_FRAME for payload, pts in sent.packets if payload != NOTHING] == [0, 1, 2, 3, 4]
    assert [pts // SPEECH_FRAME for payload, pts in sent.packets if payload == NOTHING] == [5, 25, 45]


async def test_the_silence_after_speech_is_silent_and_costs_three_bytes() -> None:
    sent = Sent(to_say=[*frames(10)])
    sent.run(sent.voice(attentive_s=math.inf), 100)
    assert len(sent.packets) == 100
    assert {len(payload) for payload, _ in sent.packets[60:]} == {3}
    assert np.abs(sent.decoded()[60 * SPEECH_FRAME :].astype(int)).max() == 0


async def test_speech_after_silence_is_what_was_said() -> None:
    tone = [replace(a_frame(i), pcm=LOUD) for i in range(20)]
    sent = Sent(to_say=[*([None] * 80), *tone])
    sent.run(sent.voice(attentive_s=0.5), 100)
    got = sent.decoded()[-18 * SPEECH_FRAME :].astype(float)
    assert np.sqrt(np.mean(got**2)) == pytest.approx(8_000 / math.sqrt(2), rel=0.05)


async def test_the_last_speech_is_known_and_fades_do_not_count() -> None:
    sent = Sent(to_say=[a_frame(0), a_frame(1), a_frame(2, flags=Flags.COMFORT), None])
    voice = sent.voice()
    sent.run(voice, 4)
    assert voice.last == a_frame(1)
