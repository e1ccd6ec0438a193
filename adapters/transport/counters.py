"""What an operator can see of the transports, as Prometheus metrics."""

from typing import Final

from prometheus_client import Counter, Gauge

CONNECTIONS: Final = Gauge("antiphon_connections", "Client connections that are open now", ["transport"])
MALFORMED: Final = Counter(
    "antiphon_client_malformed_total", "What clients sent and was refused", ["transport", "what"]
)
DISCONNECTED: Final = Counter(
    "antiphon_client_disconnects_total", "Connections that we ended, and why", ["transport", "why"]
)
REFUSED: Final = Counter("antiphon_http_refused_total", "HTTP requests that were refused", ["code"])
STEERED: Final = Counter("antiphon_http_steered_total", "Commands to workers over HTTP", ["command", "outcome"])
UPLOADS: Final = Counter("antiphon_reference_uploads_total", "Recordings of voices that clients brought", ["outcome"])
STALLS: Final = Counter(
    "antiphon_client_stalls_total", "Times that a client did not read and its speech waited in the gate", ["transport"]
)
MIC_LOST: Final = Counter("antiphon_microphone_packets_lost_total", "Microphone packets that silence took the place of")
