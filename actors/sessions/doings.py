"""Which of a session's parts does which of turn-taking's commands."""

from collections.abc import Callable
from typing import Any

from actors.history import History
from actors.policies.playout import PlayoutGate
from actors.policies.turn_taking import commands as c
from actors.sessions.ears import Ears
from actors.sessions.mouth import Mouth
from actors.sessions.voice import Voice
from protocol.conversation import Hold, Release, StateChanged, Transcript
from protocol.ids import SessionId, TurnId
from protocol.message import Message

MAX_TEXT = 16_000

Doings = dict[type[Any], Callable[[Any], None]]


def doings(
    *,
    session: SessionId,
    gate: PlayoutGate,
    voice: Voice,
    ears: Ears,
    mouth: Mouth,
    history: History,
    tell: Callable[[Message], None],
    tell_error: Callable[[str, str, TurnId], None],
    note_hold: Callable[[TurnId], None],
) -> Doings:
    """By the command's type. What is told is told after all commands of an event are done."""

    def hold(command: c.HoldGate) -> None:
        gate.hold(command.turn)
        note_hold(command.turn)
        tell(Hold(session=session, turn=command.turn))

    def release(command: c.ReleaseGate) -> None:
        gate.release(command.turn)
        tell(Release(session=session, turn=command.turn))

    def state(command: c.TellState) -> None:
        tell(StateChanged(session=session, state=command.state, turn=command.turn))

    def transcript(command: c.TellTranscript) -> None:
        text = command.text[:MAX_TEXT]
        tell(Transcript(session=session, utterance=command.utterance, text=text, final=command.final))

    return {
        c.HoldGate: hold,
        c.ReleaseGate: release,
        c.PauseVoice: lambda command: voice.pause(command.turn),
        c.ResumeVoice: lambda command: voice.resume(command.turn, gate.wanted),
        c.NudgeVoice: lambda command: mouth.nudge(command.turn),
        c.StopVoice: lambda command: mouth.stop(command.turn),
        c.AskTranscript: ears.ask,
        c.PrepareReply: lambda command: mouth.prepare(command.turn, command.text),
        c.AdoptReply: lambda command: mouth.adopt(command.turn),
        c.DropReply: lambda command: mouth.drop(command.turn),
        c.CommitUser: lambda command: history.add_user(command.text),
        c.WithdrawUser: lambda _: history.withdraw_user(),
        c.AskReply: lambda command: mouth.ask(command.turn),
        c.SpeakText: lambda command: mouth.say(command.turn, command.text, last=command.last),
        c.AddText: lambda command: mouth.add(command.turn, command.text, last=command.last),
        c.EndText: lambda command: mouth.end_text(command.turn),
        c.ContinueReply: lambda command: mouth.go_on(command.turn, command.anew, held=command.held),
        c.CommitReply: lambda command: mouth.commit(command.turn),
        c.CutReply: lambda command: mouth.cut(command.turn),
        c.TellState: state,
        c.TellTranscript: transcript,
        c.TellError: lambda command: tell_error(command.code, command.message, command.turn),
        c.ReleaseAll: lambda _: mouth.close(),
    }
