"""What an operator can see of the actors, as Prometheus metrics. Names say their unit; no label holds an id."""

import asyncio
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_MILLISECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5)

# --- the gateway and its sessions ------------------------------------------------------------------------------------
SESSIONS = Gauge("antiphon_sessions", "Sessions that are open here, those that wait for their client included")
SESSIONS_DETACHED = Gauge("antiphon_sessions_detached", "Sessions whose client has lost its connection")
SESSIONS_OPENED = Counter("antiphon_sessions_opened_total", "Sessions that were opened")
SESSIONS_RESUMED = Counter("antiphon_sessions_resumed_total", "Clients that came back to their session")
SESSIONS_REFUSED = Counter("antiphon_sessions_refused_total", "Requests for a session that were refused", ["code"])

FRAMES_IN = Counter("antiphon_microphone_frames_total", "Microphone frames of 20 ms that were taken")
FRAMES_OUT = Counter("antiphon_speech_frames_total", "Speech frames of 20 ms that were handed to a transport")
FRAMES_DROPPED = Counter(
    "antiphon_frames_dropped_total",
    "Frames that were dropped: `mic-rate` faster than time, `bus` too old before a recognizer could be sent them, "
    "`gate` of another turn, sent before, or over the bound, `worker` from one that was replaced",
    ["where"],
)
UNDERRUNS = Counter(
    "antiphon_playout_underruns_total", "Times that a reply fell silent because its next frame was late"
)
COMMANDS = Counter("antiphon_commands_total", "Commands of clients", ["type", "outcome"])

HOLDS = Counter("antiphon_holds_total", "Times that the playout gate closed while a reply sounded")
BARGE_INS = Counter("antiphon_barge_ins_total", "Replies that were cut short")
HOLD_LATENCY = Histogram(
    "antiphon_hold_latency_seconds",
    "From the voice detector's event to the last speech sample handed to the transport",
    buckets=_MILLISECONDS,
)
TURN_LATENCY = Histogram(
    "antiphon_turn_latency_seconds",
    "The latencies of a turn, by name: see TurnMeasured in docs/protocol.md",
    ["name"],
    buckets=_MILLISECONDS,
)
FRAME_JITTER = Histogram(
    "antiphon_speech_frame_jitter_seconds",
    "Deviation of a speech frame's arrival at the gateway from the 20 ms grid of its reply",
    buckets=_MILLISECONDS,
)
QUEUED = Histogram(
    "antiphon_playout_queue_seconds",
    "How much speech waits in the gate, each time the playout is published",
    buckets=(0.0, 0.02, 0.04, 0.06, 0.1, 0.14, 0.18, 0.22, 0.3, 0.5, 1.0, 2.0),
)

# --- who works here ---------------------------------------------------------------------------------------------------
WORKERS_SILENT = Counter("antiphon_workers_silent_total", "Workers whose pulse stopped: dead, hung or starved")
WORKERS_BACK = Counter("antiphon_workers_back_total", "Workers that had fallen silent and were heard again")
ROUTES = Counter(
    "antiphon_routes_total",
    "Decisions for sessions: `placed` where the model is in memory, `cold` where it has to be loaded first, `fallback` "
    "with another model meanwhile, or the code of a refusal",
    ["kind", "outcome"],
)
MODELS_WARMED = Counter("antiphon_models_warmed_total", "Requests to load a model in the background", ["outcome"])

# --- voice activity --------------------------------------------------------------------------------------------------
VAD_WINDOWS = Histogram(
    "antiphon_vad_batch_windows",
    "Windows of 32 ms judged in one inference; more than one when several sessions spoke or the thread was behind",
    buckets=(1, 2, 4, 8, 16),
)
VAD_DROPPED = Counter(
    "antiphon_vad_dropped_windows_total", "Windows that were never judged because the thread was behind"
)
VAD_FAILURES = Counter("antiphon_vad_failures_total", "Sessions whose voice detection failed and ended")


def _tasks_of_this_loop() -> int:
    """0 where no loop runs: somebody reads the metrics of a process that has none."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0


LOOP_TASKS = Gauge("antiphon_loop_tasks", "asyncio tasks of this process; at rest their number must not grow")
LOOP_TASKS.set_function(_tasks_of_this_loop)
