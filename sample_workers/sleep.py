"""The one to practise cancel and pause on: it does nothing, step by step."""

from typing import Annotated, Any

from tasky import Context, Param, worker


@worker
def sleep(
    ctx: Context,
    seconds: Annotated[float, Param("How long in all.", ge=0, le=31_536_000)] = 1,
    steps: Annotated[int, Param("Parts to report.", ge=1, le=1_000_000)] = 10,
) -> dict[str, Any]:
    """Sleep in steps, with a checkpoint and a progress report after each."""
    for step in range(1, steps + 1):
        ctx.sleep(seconds / steps)
        ctx.progress(step, steps, unit="steps")
        ctx.checkpoint(f"step {step}")
    return {"slept_s": seconds, "steps": steps}
