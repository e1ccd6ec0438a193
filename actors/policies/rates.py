"""How much of something is granted per second. Pure: `now` comes in, yes or no comes out."""


class TokenBucket:
    """Grants `rate` tokens per second on average, and `burst` at once.

    >>> bucket = TokenBucket(rate=1.0, burst=1.0)
    >>> bucket.take(now=0.0), bucket.take(now=0.5), bucket.take(now=1.0)
    (True, False, True)
    """

    def __init__(self, *, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._last: float | None = None

    def take(self, now: float, tokens: float = 1.0) -> bool:
        """Whether so many are granted now (seconds, monotonic); what is not granted costs nothing."""
        if self._last is not None:
            self._tokens = min(self._burst, self._tokens + max(0.0, now - self._last) * self._rate)
        self._last = now
        if self._tokens < tokens:
            return False
        self._tokens -= tokens
        return True
