"""A latency sketch: durations counted in buckets of equal relative width.

Source: Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error
guarantees", PVLDB 12 (2019). With γ = (1 + α) / (1 − α) the middle of a bucket is off by at most α.
"""

import math
from collections.abc import Mapping

ALPHA = 0.02
GAMMA = (1 + ALPHA) / (1 - ALPHA)
_LOG_GAMMA = math.log(GAMMA)


def bucket_of(duration_us: int) -> int:
    """Return the bucket of a duration in µs; everything up to 1 µs is bucket 0."""
    return math.ceil(math.log(duration_us) / _LOG_GAMMA) if duration_us > 1 else 0


def value_of(bucket: int) -> float:
    """Return the duration in µs that stands for a bucket."""
    return 2 * GAMMA**bucket / (GAMMA + 1) if bucket else 1.0


def percentile(buckets: Mapping[int, int], q: float) -> float | None:
    """Duration in µs that a share `q` (0..1) of the counted ones does not exceed; None without any.

    Nearest rank; relative error at most 2 %.
    """
    total = sum(buckets.values())
    if not total:
        return None
    rank = max(1, math.ceil(q * total))
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= rank:
            return value_of(bucket)
    return value_of(max(buckets))
