"""Teaches retries: an attempt that fails is repeated, later and later, up to three in all."""

import random
from typing import Annotated, Any

from tasky import Context, Param, worker


@worker(max_attempts=3, backoff=1.0)
def flaky(
    ctx: Context,
    rate: Annotated[float, Param("Share of attempts that fail.", ge=0, le=1)] = 0.5,
    seconds: Annotated[float, Param("How long an attempt takes.", ge=0, le=86_400)] = 0,
) -> dict[str, Any]:
    """Fail now and then, at the given rate."""
    ctx.sleep(seconds)
    # Drawn from task and attempt: each attempt has its own luck, and it can be looked into later.
    luck = random.Random(f"{ctx.task.id}:{ctx.task.attempt}").random()  # noqa: S311  # no secret
    if luck < rate:
        raise RuntimeError(f"attempt {ctx.task.attempt} failed on purpose, at a rate of {rate:g}")
    return {"attempt": ctx.task.attempt, "luck": round(luck, 3)}
