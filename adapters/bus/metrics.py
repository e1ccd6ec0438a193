"""What the bus counts."""

from typing import Final

from prometheus_client import Counter, Gauge

CONNECTED: Final = Gauge("antiphon_bus_connected", "1 while this process is connected to NATS")
RECONNECTS: Final = Counter("antiphon_bus_reconnects_total", "Connections to NATS that were lost and came back")
MALFORMED: Final = Counter("antiphon_bus_malformed_total", "Messages and frames that were none of ours", ["kind"])
DROPPED: Final = Counter("antiphon_bus_dropped_total", "What was not sent or not handed on", ["what"])
ERRORS: Final = Counter("antiphon_bus_errors_total", "Errors that NATS or its client reported", ["kind"])
HANDLER_FAILURES: Final = Counter("antiphon_bus_handler_failures_total", "Handlers that raised; they were called again")
