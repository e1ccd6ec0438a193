"""Why a model could not be loaded, in a word, for metrics."""

from protocol.errors import LoadFault, ModelUnavailable


def fault_of(error: BaseException) -> LoadFault:
    """What its adapter says, or else what caused it says."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return "memory"
        if isinstance(cause, (FileNotFoundError, ImportError)):
            return "missing"
        if isinstance(cause, ModelUnavailable) and cause.fault != "other":
            return cause.fault
        cause = cause.__cause__
    return "other"
