"""A session's configuration, as its parts understand it."""

import dataclasses
from dataclasses import dataclass

from actors.policies.turn_taking import TurnTakingSettings
from protocol.conversation import SessionConfig
from protocol.routing import WhenCold
from protocol.speaking import ReferenceId


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a session wants to speak with; `voice` None is the deployment's default.

    Attributes:
        when_cold: what to do while that voice is in nobody's memory.
        reference: a recording that it is to imitate.
    """

    voice: str | None
    language: str
    speed: float
    when_cold: WhenCold = "fallback"
    reference: ReferenceId | None = None

    def in_any_voice(self) -> "Wanted":
        """The same as far as any voice can do it."""
        return dataclasses.replace(self, voice=None, reference=None)


def wanted(config: SessionConfig) -> Wanted:
    """The voice."""
    return Wanted(
        config.voice,
        config.language or "en",
        config.speed or 1.0,
        config.when_cold or "fallback",
        config.reference or None,
    )


def taking_turns(settings: TurnTakingSettings, config: SessionConfig) -> TurnTakingSettings:
    """The deployment's settings with what the client has chosen."""
    names = ("barge_in", "end_of_turn_ms", "resume_delay_ms", "tentative_hold", "language")
    chosen = {name: value for name in names if (value := getattr(config, name)) is not None}
    return dataclasses.replace(settings, **chosen)


def changed(config: SessionConfig, changes: SessionConfig) -> SessionConfig:
    """The configuration with whatever `changes` names."""
    chosen = {f.name: v for f in dataclasses.fields(changes) if (v := getattr(changes, f.name)) is not None}
    return dataclasses.replace(config, **chosen)
