"""Any sequence of events: somebody always acts, one reply at most sounds, and no frame of an old turn is played."""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.policies.playout import PlayoutGate
from actors.policies.turn_taking import TurnTaking, TurnTakingSettings
from actors.policies.turn_taking import commands as c
from actors.policies.turn_taking import events as e
from protocol.audio import SPEECH_FRAME, Flags, Frame, Kind
from protocol.conversation import Interrupt, Say
from protocol.hearing import (
    FinalTranscript,
    PartialTranscript,
    SpeechLikely,
    SpeechStarted,
    SpeechStopped,
    SpeechUnlikely,
    TranscriptionFailed,
)
from protocol.ids import Millis, Samples, SessionId, TurnId, UnixMicros

SID = SessionId("s")
TEXTS = st.sampled_from(["", "Stop.", "Mm-hmm.", "Yeah.", "What time is it?", "and the", "Um.", "you"])
LONGEST_WAIT = 22_000
"""No state waits longer than a reply's time-out for anything."""


class World(RuleBasedStateMachine):
    """Turn-taking with a real gate, a voice that sends frames of any turn at any time, and an unreliable rest."""

    @initialize(
        barge_in=st.sampled_from(["words", "any_speech", "resume_on_silence"]),
        tentative=st.booleans(),
        prepare=st.booleans(),
        apology=st.sampled_from(["", "Sorry."]),
    )
    def begin(self, barge_in: str, tentative: bool, prepare: bool, apology: str) -> None:  # noqa: FBT001 - Hypothesis
        self.turns = TurnTaking(
            TurnTakingSettings(
                barge_in=barge_in,  # type: ignore[arg-type]  # one of the literals above
                tentative_hold=tentative,
                prepare=prepare,
                apology=apology,
            )
        )
        self.gate = PlayoutGate()
        self.now = Millis(1_000)
        self.alive: set[TurnId] = set()
        self.prepared: set[TurnId] = set()
        self.settled: set[TurnId] = set()
        self.requests: dict[int, c.AskTranscript] = {}
        self.committed_users = 0
        self.next_sample: dict[TurnId, Samples] = {}
        self.last_sent: set[TurnId] = set()

    # --- doing what is decided --------------------------------------------------------------------------------------
    def do(self, commands: list[c.Command]) -> None:
        for command in commands:
            self.do_one(command)

    def do_one(self, command: c.Command) -> None:
        match command:
            case c.AskTranscript(request=request, first=first, end=end):
                assert request not in self.requests
                assert 0 <= first <= end
                self.requests[request] = command
            case c.CommitUser(text=text):
                assert text.strip()
                self.committed_users += 1
            case c.WithdrawUser():
                assert self.committed_users > 0
                self.committed_users -= 1
            case c.TellState(turn=turn):
                assert not turn or turn in self.alive
            case c.TellTranscript() | c.TellError() | c.ReleaseAll():
                pass
            case c.PrepareReply() | c.AskReply() | c.SpeakText() | c.ContinueReply():
                self.do_begin(command)
            case c.DropReply() | c.StopVoice() | c.CutReply() | c.CommitReply():
                self.do_end(command)
            case _:
                self.do_on_the_way(command)

    def do_on_the_way(self, command: c.Command) -> None:
        turn = getattr(command, "turn")  # noqa: B009 - each command that is left has one; types can't say so
        assert turn in self.alive
        match command:
            case c.HoldGate():
                self.gate.hold(turn)
            case c.ReleaseGate():
                self.gate.release(turn)
            case c.AdoptReply():
                assert turn in self.prepared
                self.prepared.discard(turn)
                self.gate.release(turn)
            case _:
                assert turn not in self.prepared

    def do_begin(self, command: c.PrepareReply | c.AskReply | c.SpeakText | c.ContinueReply) -> None:
        match command:
            case c.PrepareReply(turn=turn):
                self.begin_turn(turn)
                self.prepared.add(turn)
                self.gate.expect(turn, held=True)
            case c.AskReply(turn=turn) | c.SpeakText(turn=turn):
                self.begin_turn(turn)
                self.gate.expect(turn)
            case c.ContinueReply(turn=turn, anew=anew, held=held):
                assert turn in self.alive
                self.alive.discard(turn)
                self.settled.add(turn)
                self.gate.flush(turn)
                self.begin_turn(anew)
                self.gate.expect(anew, held=held)

    def do_end(self, command: c.DropReply | c.StopVoice | c.CutReply | c.CommitReply) -> None:
        turn = command.turn
        match command:
            case c.DropReply():
                assert turn in self.prepared
                self.prepared.discard(turn)
                self.gate.flush(turn)
            case c.StopVoice():
                assert turn in self.alive
                self.gate.flush(turn)
                self.alive.discard(turn)
                return
            case c.CutReply():
                assert turn not in self.alive
                assert turn not in self.settled
            case c.CommitReply():
                assert turn in self.alive
        self.alive.discard(turn)
        self.settled.add(turn)

    def begin_turn(self, turn: TurnId) -> None:
        assert turn not in self.settled
        assert turn > max(self.settled, default=0)
        assert not self.alive, "two replies at once"
        self.alive.add(turn)
        self.next_sample[turn] = Samples(0)

    def on(self, event: e.Event) -> None:
        self.do(self.turns.on(event, self.now))

    # --- what may happen --------------------------------------------------------------------------------------------
    @rule(kind=st.sampled_from([SpeechLikely, SpeechUnlikely, SpeechStarted, SpeechStopped]))
    def voice_activity(self, kind: type[SpeechLikely]) -> None:
        self.on(kind(session=SID, at=Samples(self.now * 16), probability=0.9))

    @rule(text=TEXTS, pause=st.sampled_from([0, 250, 900]))
    def somebody_says_something(self, text: str, pause: int) -> None:
        """And is understood, soon or late."""
        self.voice_activity(SpeechStarted)
        self.time_passes(500)
        self.voice_activity(SpeechStopped)
        self.time_passes(pause)
        self.answer_newest(text)

    @rule(count=st.integers(1, 4))
    def the_reply_sounds(self, count: int) -> None:
        self.time_passes(700)
        self.on(e.TextHandedOver(self.turns.turn, last=True))
        self.frames_arrive(offset=0, count=count, last=False)
        self.client_pulls(1)

    @rule(text=TEXTS, quality=st.floats(-1.5, 0), noise=st.floats(0, 1), final=st.booleans(), data=st.data())
    def transcript(self, text: str, quality: float, noise: float, final: bool, data: st.DataObject) -> None:  # noqa: FBT001
        if not self.requests:
            return
        asked = self.requests[data.draw(st.sampled_from(sorted(self.requests)))]
        kind = FinalTranscript if final else PartialTranscript
        self.on(
            kind(
                session=SID,
                request=asked.request,
                first=asked.first,
                end=asked.end,
                text=text,
                avg_logprob=quality,
                no_speech_prob=noise,
            )
        )

    def answer_newest(self, text: str) -> None:
        if not self.requests:
            return
        asked = self.requests[max(self.requests)]
        self.on(
            FinalTranscript(
                session=SID,
                request=asked.request,
                first=asked.first,
                end=asked.end,
                text=text,
                avg_logprob=-0.1,
                no_speech_prob=0.1,
            )
        )

    @rule(code=st.sampled_from(["stale", "no-audio", "failed"]), data=st.data())
    def no_transcript(self, code: str, data: st.DataObject) -> None:
        if self.requests:
            request = data.draw(st.sampled_from(sorted(self.requests)))
            self.on(TranscriptionFailed(session=SID, request=request, code=code, reason="it failed"))

    @rule(text=st.sampled_from(["", "Hello.", "More."]), last=st.booleans())
    def say(self, text: str, last: bool) -> None:  # noqa: FBT001 - Hypothesis
        say = Say(text=text, last=last)
        if self.turns.why_not_say(say, self.now) is None:
            self.on(say)

    @rule()
    def interrupt(self) -> None:
        self.on(Interrupt())
        assert self.turns.state == "LISTENING" or self.turns.closed or self.turns.turn

    @rule(offset=st.integers(-2, 0), last=st.booleans())
    def text(self, offset: int, last: bool) -> None:  # noqa: FBT001 - Hypothesis
        self.on(e.TextHandedOver(self.some_turn(offset), last))

    @rule(offset=st.integers(-2, 0))
    def reply_fails(self, offset: int) -> None:
        self.on(e.ReplyFailed(self.some_turn(offset), "reply-failed", "it failed"))

    @rule(offset=st.integers(-2, 0))
    def voice_fails(self, offset: int) -> None:
        self.on(e.VoiceFailed(self.some_turn(offset), "synthesis-failed", "it failed"))

    @rule(offset=st.integers(-2, 0))
    def client_takes_nothing(self, offset: int) -> None:
        self.on(e.ListenerAway(self.some_turn(offset)))

    @rule(back=st.booleans())
    def worker_comes_or_goes(self, back: bool) -> None:  # noqa: FBT001 - Hypothesis
        self.on(e.VoiceReturned() if back else e.VoiceLost())

    @rule(back=st.booleans())
    def recognizer_comes_or_goes(self, back: bool) -> None:  # noqa: FBT001 - Hypothesis
        self.on(e.RecognizerReturned() if back else e.RecognizerLost())

    @rule(completeness=st.floats(0, 1))
    def turn_detector_speaks(self, completeness: float) -> None:
        self.on(e.CompletenessJudged(completeness))

    @rule(offset=st.integers(-2, 0), count=st.integers(1, 4), last=st.booleans())
    def frames_arrive(self, offset: int, count: int, last: bool) -> None:  # noqa: FBT001 - Hypothesis
        turn = self.some_turn(offset)
        for i in range(0 if turn in self.last_sent else count):
            position = self.next_sample.get(turn, Samples(0))
            frame = Frame(
                kind=Kind.SPEECH,
                turn=turn,
                sequence=position // SPEECH_FRAME,
                position=position,
                captured_at=UnixMicros(0),
                pcm=b"\1\1" * SPEECH_FRAME,
                flags=Flags.LAST if last and i == count - 1 else Flags.NONE,
            )
            if self.gate.offer(frame):
                assert turn in self.alive
                self.next_sample[turn] = frame.end
                if Flags.LAST in frame.flags:
                    self.last_sent.add(turn)

    @rule(count=st.integers(1, 6))
    def client_pulls(self, count: int) -> None:
        for _ in range(count):
            self.pull()

    def pull(self) -> None:
        pulled = self.gate.pull()
        if pulled is None or Flags.COMFORT in pulled.frame.flags:
            return
        turn = pulled.frame.turn
        assert turn in self.alive, "a frame of an old turn is played"
        assert turn not in self.prepared, "a prepared reply is heard"
        assert self.turns.state in ("THINKING", "SPEAKING"), f"sound in {self.turns.state}"
        if pulled.first:
            self.on(e.FirstFrameLeft(turn))
        if pulled.last:
            self.on(e.LastFrameLeft(turn))
        self.on(e.PlayoutMoved(self.gate.turn, self.gate.played))

    @rule(ms=st.sampled_from([1, 32, 200, 500, 1_000, 3_000]))
    def time_passes(self, ms: int) -> None:
        """Deadlines are met on time, as the session's timer does."""
        until = self.now + ms
        for _ in range(1_000):
            due = self.turns.deadline()
            if due is None or due > until:
                break
            self.now = Millis(max(self.now, due))
            self.do(self.turns.on_time(self.now))
        else:
            raise AssertionError("deadlines without end")
        self.now = Millis(until)

    @rule(ms=st.sampled_from([5, 50, 300, 4_000, 30_000]))
    def the_loop_was_busy(self, ms: int) -> None:
        """Time passes and nobody is told until the next event."""
        self.now = Millis(self.now + ms)

    @precondition(lambda self: not self.turns.closed)
    @rule(chance=st.integers(0, 40))
    def the_session_ends(self, chance: int) -> None:
        if chance == 40:
            self.on(e.SessionEnding())
            assert not self.alive

    def some_turn(self, offset: int) -> TurnId:
        newest = max(self.alive | self.settled, default=1)
        return TurnId(max(1, newest + offset))

    # --- what always holds ------------------------------------------------------------------------------------------
    @invariant()
    def somebody_will_act(self) -> None:
        if not hasattr(self, "turns") or self.turns.closed:
            return
        due = self.turns.deadline()
        if self.turns.state != "LISTENING" or self.turns.prepared:
            assert due is not None
            assert due <= self.now + LONGEST_WAIT

    @invariant()
    def at_most_one_reply(self) -> None:
        if not hasattr(self, "turns"):
            return
        expected = {t for t in (self.turns.turn, self.turns.prepared) if t}
        assert self.alive == (set() if self.turns.closed else expected)
        assert len(self.alive) <= 1
        if not self.turns.closed:
            assert (self.turns.state == "LISTENING") == (self.turns.turn == 0)

    @invariant()
    def the_gate_agrees(self) -> None:
        if not hasattr(self, "turns") or self.turns.closed:
            return
        if self.turns.state == "BARGED_IN":
            assert self.gate.held
        if self.turns.prepared:
            assert self.gate.held

    def teardown(self) -> None:
        """Left alone, everything comes to rest: nobody waits for ever."""
        if not hasattr(self, "turns") or self.turns.closed:
            return
        self.on(SpeechStopped(session=SID, at=Samples(self.now * 16), probability=0.1))
        for _ in range(2_000):
            due = self.turns.deadline()
            if due is None:
                break
            self.now = Millis(max(self.now, due))
            self.do(self.turns.on_time(self.now))
        assert self.turns.state == "LISTENING"
        assert self.turns.deadline() is None
        assert not self.alive


TestTurnTakingMachine = World.TestCase
TestTurnTakingMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
