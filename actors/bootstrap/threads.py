"""How many threads the numerical libraries may use; to be said before they are imported."""

import os


def limit_threads(count: int) -> None:
    """At most `count` for a model's computing, one for numpy; waiting threads sleep instead of spinning.

    On a host that is shared, idle threads that spin cost the pacers of other processes their punctuality.
    """
    os.environ["OMP_NUM_THREADS"] = str(count)
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ["MKL_NUM_THREADS"] = str(count)
