"""Runs the shell sessions of the documentation against a real server, and notes what they printed.

A session is a fenced `console` block: lines that begin with `$ ` are typed, the others came out.
`python docs/session.py README.md …` runs the sessions of those pages and puts the fresh output in;
`tests/test_docs.py` runs them too and fails when the output has another shape than the page says.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "docs/tutorial/rest.md")
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
END = "@@end@@"


class Session:
    """One bash in a folder of its own, beside a server on a free port."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tasky-docs-"))
        shutil.copy(ROOT / "README.md", self.folder)
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "TASKY_DB": str(self.folder / "tasky.db"),
            "COLUMNS": "100",
            "TERM": "dumb",
        }
        for name in ("TASKY_URL", "TASKY_TOKEN", "TASKY_CONFIG"):
            environment.pop(name, None)
        self._server = subprocess.Popen(
            ["tasky", "serve", "--port", "0"],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.url, self.token = self._greeting()
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=self.folder,
            env={**environment, "TOKEN": self.token, "URL": self.url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _greeting(self) -> tuple[str, str]:
        for line in self._server.stdout or ():
            found = re.search(r"Bearer (\S+?)\" (http://[\d.]+:\d+)", line)
            if found:
                return found.group(2), found.group(1)
        raise RuntimeError("the server printed no curl line")

    def run(self, command: str) -> str:
        """Return what a command printed, on both streams."""
        typed = command.replace("http://127.0.0.1:8888", self.url)
        if self._bash.stdin is None or self._bash.stdout is None:
            raise RuntimeError("the shell has no pipes")
        self._bash.stdin.write(f"{typed}\necho; echo {END}\n")
        self._bash.stdin.flush()
        lines = iter(self._bash.stdout.readline, "")
        printed = list(_until_end(lines))
        text = "".join(printed).rstrip("\n").replace(self.url, "http://127.0.0.1:8888")
        return text.replace(str(self.folder), "/srv/demo").replace(self.token, "$TOKEN")

    def close(self) -> None:
        """End the shell and the server, and remove the folder."""
        self._bash.kill()
        self._bash.communicate()
        self._server.terminate()
        self._server.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)


def _until_end(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if line.strip() == END:
            return
        yield line


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Yield (command, printed) of a block; a command goes on while its lines end in a backslash."""
    command, printed = "", ""
    for line in block.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, printed.rstrip("\n")
            command, printed = line[2:], ""
        elif command.endswith("\\"):
            command += "\n" + line
        else:
            printed += line + "\n"
    if command:
        yield command, printed.rstrip("\n")


def shape(text: str) -> list[str]:
    """Return what must stay when a session runs again: words, not ids, times, numbers and bars."""
    text = re.sub(r"\d{4}-\d\d-\d\d[T ][\d:.]+Z?", "TIME", text)
    text = re.sub(r"\b[0-9a-f]{8,}\b", "ID", text)
    text = re.sub(r"[█░#]+", "BAR", text)
    text = re.sub(r"\d+(\.\d+)?( (ms|s|m|h|kB|KB|MB|GB|B|KB/s|MB/s|GB/s))?\b", "N", text)
    lines = (re.sub(r"\s+", " ", line).strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("► running")]


def rewritten(text: str, session: Session) -> str:
    """Return a page with the output of its sessions made anew."""

    def again(match: re.Match[str]) -> str:
        parts = []
        for command, _ in commands(match.group(1)):
            printed = session.run(command)
            parts.append(f"$ {command}\n" + (f"{printed}\n" if printed else ""))
        return "```console\n" + "".join(parts) + "```"

    return BLOCK.sub(again, text)


def main() -> None:
    """Write the pages that are named, all without a name."""
    for name in sys.argv[1:] or PAGES:
        page = ROOT / name
        with contextlib.closing(Session()) as session:
            page.write_text(rewritten(page.read_text("utf-8"), session), "utf-8")


if __name__ == "__main__":
    main()
