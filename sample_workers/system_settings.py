"""Teaches a choice as a parameter, and output that gives no secret away."""

import contextlib
import locale
import os
import re
import resource
import time
from pathlib import Path
from typing import Annotated, Any, Literal

from tasky import Context, Param, worker

Section = Literal["sysctl", "environment", "limits", "locale", "mounts"]

SYSCTL = (
    "fs.file-max fs.file-nr fs.inotify.max_user_watches fs.nr_open kernel.hostname "
    "kernel.osrelease kernel.pid_max kernel.randomize_va_space kernel.threads-max "
    "net.core.somaxconn net.ipv4.ip_forward net.ipv4.ip_local_port_range "
    "net.ipv4.tcp_keepalive_time net.ipv4.tcp_syncookies vm.dirty_ratio "
    "vm.max_map_count vm.overcommit_memory vm.swappiness"
)
SECRET = re.compile(r"pass|secret|token|key|cred|auth|private", re.IGNORECASE)
MASK = "***"


@worker(idempotent=True)
def system_settings(
    ctx: Context,
    section: Annotated[Section | None, Param("Only this part; without it all.")] = None,
) -> dict[str, Any]:
    """Show the settings of this server: kernel, environment names, limits, locale and mounts."""
    parts = {
        "sysctl": _sysctl,
        "environment": _environment,
        "limits": _limits,
        "locale": _locale,
        "mounts": _mounts,
    }
    found: dict[str, Any] = {}
    for name in [section] if section else parts:
        ctx.checkpoint(name)
        found[name] = parts[name]()
    return found


def _sysctl() -> dict[str, str]:
    values = {}
    for name in SYSCTL.split():
        # A kernel without the setting, or a container that hides it, just has one line less.
        with contextlib.suppress(OSError):
            text = Path("/proc/sys", *name.split(".")).read_text(encoding="utf-8")
            values[name] = " ".join(text.split())
    return values


def _environment() -> dict[str, str]:
    """Return names only: a value may hold a secret under the most harmless name."""
    return {name: MASK if SECRET.search(name) else "set" for name in sorted(os.environ)}


def _limits() -> dict[str, dict[str, int | str]]:
    names = sorted(name for name in dir(resource) if name.startswith("RLIMIT_"))
    pairs = {name: resource.getrlimit(getattr(resource, name)) for name in names}
    return {
        name.removeprefix("RLIMIT_").lower(): {"soft": _limit(soft), "hard": _limit(hard)}
        for name, (soft, hard) in pairs.items()
    }


def _limit(value: int) -> int | str:
    return "unlimited" if value == resource.RLIM_INFINITY else value


def _locale() -> dict[str, Any]:
    language, _ = locale.getlocale()
    return {"language": language, "encoding": locale.getencoding(), "timezone": time.tzname[0]}


def _mounts() -> list[dict[str, str]]:
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    return [_mount(*map(_unescaped, line.split(" ")[:4])) for line in lines]


def _mount(device: str, target: str, kind: str, options: str) -> dict[str, str]:
    shown = ",".join(_option(option) for option in options.split(","))
    # Network mounts may carry a login: //user:password@server/share.
    device = re.sub(r"//[^/@]*@", f"//{MASK}@", device)
    return {"device": device, "target": target, "type": kind, "options": shown}


def _option(option: str) -> str:
    name, equals, _ = option.partition("=")
    return f"{name}={MASK}" if equals and SECRET.search(name) else option


def _unescaped(text: str) -> str:
    """Source: fstab(5), octal escapes of blanks in a field."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
