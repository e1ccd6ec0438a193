"""What the registries and the bridge count."""

from typing import Final

from prometheus_client import Counter, Gauge

REFUSED: Final = Counter(
    "antiphon_registry_refused_total", "Announcements that were passed over", ["why"]
)  # `malformed`, `collision`, `too-many`
OUTAGES: Final = Counter("antiphon_registry_outages_total", "Times that the registry could not be reached", ["what"])
MIRRORED: Final = Gauge("antiphon_bridge_mirrored", "Workers that the bridge announces in this registry", ["where"])
SESSIONS_NOT_WRITTEN: Final = Counter(
    "antiphon_sessions_not_written_total", "Times that the bucket `sessions` took no entry; it was tried again"
)
