"""What an operator can see of a TTS worker's models, as Prometheus metrics. No label holds an id of a session."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_LOAD_SECONDS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 180)

RESIDENT: Final = Gauge("antiphon_tts_resident_models", "Models that take work now")
MEMORY: Final = Gauge(
    "antiphon_tts_models_memory_bytes",
    "What the models in memory need, a base that several share once: measured at loading, else estimated",
)
LOADS: Final = Counter("antiphon_tts_loads_total", "Models that were loaded", ["model"])
LOAD_SECONDS: Final = Histogram(
    "antiphon_tts_load_seconds", "From the beginning of a load to a warm model", buckets=_LOAD_SECONDS
)
LOAD_FAILURES: Final = Counter(
    "antiphon_tts_load_failures_total",
    "Failed loads: `missing` file or package, wrong `checksum`, `corrupt` file, not enough `memory`, `other`",
    ["reason"],
)
LOADS_REFUSED: Final = Counter("antiphon_tts_loads_refused_total", "Loads without room beside the models in use")
LOADS_WAITING: Final = Gauge("antiphon_tts_loads_waiting", "Loads that wait for others or for memory")
EVICTIONS: Final = Counter(
    "antiphon_tts_evictions_total",
    "Models that were unloaded: not used for `ttl`, above the `cap` in number or in `memory`, `reload`, or `asked` for",
    ["reason"],
)
DEATHS: Final = Counter(
    "antiphon_tts_model_deaths_total", "Models that ended by an error, with what they were speaking"
)
SESSIONS: Final = Gauge("antiphon_tts_sessions", "Sessions that hold a voice here")
QUEUE_DEPTH: Final = Gauge("antiphon_tts_queue_depth", "Pieces of text that are not spoken yet")
VOICES_WAITING: Final = Gauge(
    "antiphon_tts_voices_waiting", "Voices that wait while another one computes with the base that they share"
)
