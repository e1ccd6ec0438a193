"""Who has the floor (docs/turn-taking.md): a pure state machine, one module for each of its parts."""

from actors.policies.turn_taking import commands, events
from actors.policies.turn_taking.machine import TurnTaking
from actors.policies.turn_taking.settings import TurnTakingSettings

__all__ = ["TurnTaking", "TurnTakingSettings", "commands", "events"]
