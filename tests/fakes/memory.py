"""A process whose memory the test decides."""

from protocol.ports import MemoryUse


class FakeMemory:
    """Attributes: what is held now in MB, and how often it was asked to tidy up and to give back."""

    def __init__(self, *, process_mb: float = 100.0) -> None:
        self.process_mb = process_mb
        self.device_mb = 0.0
        self.tidied = self.given_back = 0

    def used(self) -> MemoryUse:
        return MemoryUse(process_mb=self.process_mb, device_mb=self.device_mb)

    def tidy(self) -> None:
        self.tidied += 1

    def give_back(self) -> None:
        self.given_back += 1
