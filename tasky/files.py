"""Files of workers, confined to the roots the server was started with.

Nothing here trusts the text of a path. It is normalised and matched with the roots only to choose
one; the kernel then resolves the rest below that root's descriptor and refuses every symbolic link,
so that a path swapped between two looks cannot lead out. The object found is looked at through an
`O_PATH` descriptor first and opened through that very descriptor: a device is never opened by
mistake, and one of Tasky's own files is never opened and closed, which would drop SQLite's locks.

Source: openat2(2); fcntl(2), "advisory record locking", for the locks that a close drops.
"""

import contextlib
import ctypes
import difflib
import errno
import functools
import itertools
import os
import platform
import posixpath
import pwd
import secrets
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tasky.errors import FileProblem, PathRefused, TaskyError

PathLike = str | os.PathLike[str]

_LOOK = os.O_PATH | os.O_CLOEXEC
_REOPEN = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PATH_MAX = 4095
"""Longest path the kernel takes in one piece; said once here, whichever way it is resolved."""
_MANY = 2000
"""Names looked at for a "did you mean"; more would make a typing error expensive."""

_own: set[str] = set()


def protect(path: PathLike) -> None:
    """Keep workers away from one of Tasky's own files, under any of its names.

    It need not exist yet: a database's `-wal`, `-shm` and `-journal` are to be named as well.
    """
    _own.add(posixpath.abspath(path))


def default_roots(start: Path) -> list[str]:
    """Return the roots of a server that was given none: `start`, unless it is `/` or a home."""
    place = start.resolve()
    return [] if place == Path("/") or place in _homes() else [str(place)]


def _homes() -> set[Path]:
    homes = [entry.pw_dir for entry in pwd.getpwall()]
    return {Path(home).resolve() for home in [*homes, os.environ.get("HOME", "")] if home}


@dataclass(frozen=True, slots=True)
class Entry:
    """Something below a scanned directory; `name` is its path from there.

    `error` is set for what could not be looked at: an entry, or a directory (named a second time)
    whose inside is missing from the scan.
    """

    name: str
    stat: os.stat_result | None
    error: OSError | None = None


@dataclass(frozen=True, slots=True)
class _Root:
    path: str
    real: str
    writable: bool

    @classmethod
    def parse(cls, text: str) -> "_Root":
        path, _, mode = text.rpartition(":")
        if mode not in ("ro", "rw"):
            path, mode = text, "rw"
        return cls(_normal(path), posixpath.realpath(path), mode == "rw")

    def rest_of(self, path: str) -> str | None:
        """Return `path` as seen from this root, or None if it does not look like one below it."""
        for top in (self.path, self.real):
            if path == top:
                return ""
            if path.startswith(top.rstrip("/") + "/"):
                return path[len(top) :].lstrip("/")
        return None


@dataclass(frozen=True, slots=True)
class _Place:
    """A path as it was given, and where it is looked for."""

    given: str
    root: _Root
    rest: str

    @property
    def parent(self) -> str:
        return posixpath.dirname(self.rest)

    @property
    def name(self) -> str:
        return posixpath.basename(self.rest)


class Files:
    """Access to the files below some roots: "/var/log", ".", "/srv:ro" or "/srv:rw" (the default).

    A relative path starts at the first root; of roots inside each other the innermost decides. A
    root may itself be reached through symbolic links, a path below it may not. No descriptor
    outlives the call, the block or the file object it serves.

    Raises `PathRefused` for a path outside, through a symbolic link, to one of Tasky's files, or
    to be written below a read-only root; `FileProblem` for one that is missing, of the wrong kind,
    forbidden or in the way. Other errors of the system (disk full, I/O) stay `OSError`.
    """

    def __init__(self, roots: Sequence[str]) -> None:
        self._shown = ", ".join(roots) or "none"
        self._roots = [_Root.parse(text) for text in roots]

    def open_read(self, path: PathLike) -> BinaryIO:
        """Open a regular file for reading; the caller closes it."""
        place = self._place(path)
        with self._look(place, place.rest) as node:
            info = os.fstat(node)
            _require_regular(place.given, info)
            self._refuse_own(place, _own_file(info))
            return os.fdopen(self._reopen(node, place), "rb")

    def stat(self, path: PathLike) -> os.stat_result:
        """Return what `os.stat` says about a file, directory or other thing."""
        place = self._place(path)
        with self._look(place, place.rest) as node:
            return os.fstat(node)

    def same_file(self, one: PathLike, other: PathLike) -> bool:
        """Say whether two paths name one file; a missing `other` is another one."""
        first, place = self.stat(one), self._place(other)
        try:
            node = _beneath(place.root.path, place.rest)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise self._told(error, place) from error
        try:
            return os.path.samestat(first, os.fstat(node))
        finally:
            os.close(node)

    def scan(self, path: PathLike) -> Iterator[Entry]:
        """Return an iterator over everything below a directory, in no order, following no links.

        A directory comes before what is in it. What vanishes meanwhile is left out.
        """
        place = self._place(path)
        with self._look(place, place.rest) as node:
            if not stat.S_ISDIR(os.fstat(node).st_mode):
                raise FileProblem(
                    path=place.given, why="is not a directory", hint="Give a directory."
                )
        return self._walk(place)

    def _walk(self, place: _Place) -> Iterator[Entry]:
        # Each directory is resolved anew from the root: a scan holds two descriptors at any depth.
        pending = [""]
        while pending:
            inside = pending.pop()
            try:
                with _listing(place.root.path, posixpath.join(place.rest, inside)) as listing:
                    for entry in map(functools.partial(_entry, inside), listing):
                        if entry is None:
                            continue
                        if entry.stat is not None and stat.S_ISDIR(entry.stat.st_mode):
                            pending.append(entry.name)
                        yield entry
            except FileNotFoundError:
                continue
            except OSError as error:
                yield Entry(inside or ".", None, error)

    @contextlib.contextmanager
    def write(
        self, path: PathLike, *, overwrite: bool = False, mode: int = 0o666
    ) -> Iterator[BinaryIO]:
        """Give a new file that appears under `path` when the block ends well, or not at all.

        Its bytes and its name are on the disk then. Whatever ends the block early, a cancel
        included, removes the temporary file and leaves what was there before. `mode` goes through
        the umask.
        """
        place = self._place(path, write=True)
        _require_name(place)
        with self._folder(place) as folder:
            self._check_target(folder, place, overwrite=overwrite)
            temporary = f".tasky-{secrets.token_hex(8)}.tmp"
            try:
                with self._new(folder, temporary, mode, place) as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                self._publish(folder, temporary, place, overwrite=overwrite)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=folder)
            os.fsync(folder)

    # -- from a text to a descriptor -------------------------------------------------------------

    def _place(self, path: PathLike, *, write: bool = False) -> _Place:
        given = os.fspath(path)
        self._refuse_text(given)
        if not self._roots:
            raise self._refused(given)
        whole = _normal(posixpath.join(self._roots[0].path, given))
        below = [(rest, root) for root in self._roots if (rest := root.rest_of(whole)) is not None]
        if not below:
            raise self._refused(given)
        rest, root = min(below, key=lambda pair: len(pair[0]))
        if write and not root.writable:
            raise self._refused(given, "; this one is read-only")
        return _Place(given, root, rest)

    def _refuse_text(self, given: str) -> None:
        try:
            raw = os.fsencode(given)
        except UnicodeEncodeError:
            raise self._refused(given, "; no name has such characters") from None
        if b"\0" in raw:
            raise self._refused(given, "; no name has a NUL")
        if len(raw) > _PATH_MAX:
            raise self._refused(given, _REFUSALS[errno.ENAMETOOLONG])

    @contextlib.contextmanager
    def _look(self, place: _Place, rest: str) -> Iterator[int]:
        try:
            node = _beneath(place.root.path, rest)
        except OSError as error:
            raise self._told(error, place) from error
        try:
            yield node
        finally:
            os.close(node)

    def _reopen(self, node: int, place: _Place, extra: int = 0) -> int:
        try:
            return os.open(f"/proc/self/fd/{node}", os.O_RDONLY | _REOPEN | extra)
        except OSError as error:
            raise self._told(error, place) from error

    @contextlib.contextmanager
    def _folder(self, place: _Place) -> Iterator[int]:
        """Give the directory of a file to be written, open so that it can be synced."""
        with self._look(place, place.parent) as node:
            folder = self._reopen(node, place, os.O_DIRECTORY)
        try:
            yield folder
        finally:
            os.close(folder)

    # -- the target of a write -------------------------------------------------------------------

    def _check_target(self, folder: int, place: _Place, *, overwrite: bool) -> None:
        self._refuse_own(place, _own_name(os.fstat(folder), place.name))
        try:
            there = os.stat(place.name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._told(error, place) from error
        if stat.S_ISLNK(there.st_mode):
            raise self._refused(place.given, _NO_LINKS)
        _require_regular(place.given, there)
        self._refuse_own(place, _own_file(there))
        if not overwrite:
            raise _exists(place.given)

    @contextlib.contextmanager
    def _new(self, folder: int, name: str, mode: int, place: _Place) -> Iterator[BinaryIO]:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            file = os.fdopen(os.open(name, flags, mode, dir_fd=folder), "w+b")
        except OSError as error:
            raise self._told(error, place) from error
        try:
            yield file
        except BaseException:
            # A close flushes; on a full disk its error would hide why the block ended.
            with contextlib.suppress(OSError):
                file.close()
            raise
        file.close()

    def _publish(self, folder: int, temporary: str, place: _Place, *, overwrite: bool) -> None:
        try:
            if overwrite:
                os.rename(temporary, place.name, src_dir_fd=folder, dst_dir_fd=folder)
            else:
                # A temporary name that somebody made a link meanwhile must not be followed out.
                os.link(
                    temporary,
                    place.name,
                    src_dir_fd=folder,
                    dst_dir_fd=folder,
                    follow_symlinks=False,
                )
        except OSError as error:
            if not overwrite and error.errno in (errno.EPERM, errno.EOPNOTSUPP):
                raise FileProblem(
                    path=place.given,
                    why="is on a file system that cannot promise not to replace a file",
                    hint="Give overwrite=true, or another path.",
                ) from error
            raise self._told(error, place) from error

    # -- errors ----------------------------------------------------------------------------------

    def _refuse_own(self, place: _Place, own: bool) -> None:
        if own:
            raise self._refused(place.given, "; this is one of Tasky's own files")

    def _refused(self, given: str, why: str = "") -> PathRefused:
        return PathRefused(path=_short(given), roots=f"{_short(self._shown)}{why}")

    def _told(self, error: OSError, place: _Place) -> TaskyError | OSError:
        """Return the error a person can use for one of the kernel's; others as they are."""
        number = error.errno
        if number in _REFUSALS:
            return self._refused(place.given, _REFUSALS[number])
        if number == errno.EEXIST:
            return _exists(place.given)
        if number in (errno.ENOENT, errno.ENOTDIR):
            return FileProblem(path=place.given, why="does not exist", hint=_nearest(place))
        if number in _FORBIDDEN:
            why, hint = _FORBIDDEN[number]
            return FileProblem(path=place.given, why=why, hint=hint)
        return error


_NO_LINKS = "; symbolic links are not followed"
_REFUSALS = {
    errno.ELOOP: _NO_LINKS,
    errno.EXDEV: _NO_LINKS,
    errno.ENAMETOOLONG: "; the name is too long",
}
_RIGHTS = ("permission denied", "Give the user of the server the right, or use another path.")
_FORBIDDEN = {
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: ("is on a read-only file system", "Use another path."),
}


def _exists(given: str) -> FileProblem:
    return FileProblem(path=given, why="exists already", hint="Give overwrite=true to replace it.")


def _require_regular(given: str, info: os.stat_result) -> None:
    if stat.S_ISDIR(info.st_mode):
        raise FileProblem(path=given, why="is a directory", hint="Give the path of a file.")
    if not stat.S_ISREG(info.st_mode):
        raise FileProblem(path=given, why="is not a regular file", hint="Give the path of a file.")


def _require_name(place: _Place) -> None:
    if not place.rest or place.given.endswith("/"):
        raise FileProblem(path=place.given, why="is a directory", hint="Give the path of a file.")


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


def _normal(path: str) -> str:
    # normpath keeps two leading slashes, which POSIX allows to mean something and Linux does not.
    return "/" + posixpath.abspath(path).lstrip("/")


def _nearest(place: _Place) -> str:
    """Return the hint for a missing path: the closest name in the deepest directory there is."""
    parts = place.rest.split("/")
    for depth in range(len(parts) - 1, -1, -1):
        folder = "/".join(parts[:depth])
        try:
            with _listing(place.root.path, folder) as listing:
                names = [entry.name for entry in itertools.islice(listing, _MANY)]
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return "Check the path."
        lower = {name.lower(): name for name in names}
        match = difflib.get_close_matches(parts[depth].lower(), lower, n=1, cutoff=0.5)
        return (
            f"Did you mean {posixpath.join(folder, lower[match[0]])}?"
            if match
            else "Check the path."
        )
    return f"Create the root {place.root.path}, or start with another --root."


# -- Tasky's own files ---------------------------------------------------------------------------


def _own_file(info: os.stat_result) -> bool:
    return any(there is not None and os.path.samestat(info, there) for there in map(_stat, _own))


def _own_name(folder: os.stat_result, name: str) -> bool:
    """Say whether `name` in `folder` is protected, there or not: a planted journal is replayed."""
    parents = (_stat(posixpath.dirname(path)) for path in _own if posixpath.basename(path) == name)
    return any(there is not None and os.path.samestat(folder, there) for there in parents)


def _stat(path: str) -> os.stat_result | None:
    try:
        return Path(path).stat()
    except OSError:
        return None


# -- resolving below a root ----------------------------------------------------------------------


def _beneath(root: str, rest: str, flags: int = 0) -> int:
    """Return an `O_PATH` descriptor of `rest` below the directory `root`."""
    base = os.open(root, _LOOK | os.O_DIRECTORY)
    try:
        resolve = _openat2 if _has_openat2() else _step_by_step
        return resolve(base, rest or ".", _LOOK | flags)
    finally:
        os.close(base)


@contextlib.contextmanager
def _listing(root: str, rest: str) -> Iterator["Iterator[os.DirEntry[str]]"]:
    node = _beneath(root, rest, os.O_DIRECTORY)
    try:
        folder = os.open(f"/proc/self/fd/{node}", os.O_RDONLY | os.O_DIRECTORY | _REOPEN)
    finally:
        os.close(node)
    try:
        with os.scandir(folder) as listing:
            yield listing
    finally:
        os.close(folder)


def _entry(inside: str, found: "os.DirEntry[str]") -> Entry | None:
    name = posixpath.join(inside, found.name)
    try:
        return Entry(name, found.stat(follow_symlinks=False))
    except FileNotFoundError:
        return None
    except OSError as error:
        return Entry(name, None, error)


class _How(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


_SYS_OPENAT2 = 437
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@functools.cache
def _has_openat2() -> bool:
    """Try it once: an old kernel has no such call, a strict container refuses it."""
    if platform.machine() not in ("x86_64", "aarch64"):
        return False
    root = os.open("/", _LOOK)
    try:
        os.close(_openat2(root, ".", _LOOK))
    except OSError:
        return False
    finally:
        os.close(root)
    return True


def _openat2(base: int, rest: str, flags: int) -> int:
    how = _How(flags, 0, _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS)
    while True:
        node: int = _libc().syscall(
            ctypes.c_long(_SYS_OPENAT2),
            ctypes.c_int(base),
            ctypes.c_char_p(os.fsencode(rest)),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if node >= 0:
            return node
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number), rest)


def _step_by_step(base: int, rest: str, flags: int) -> int:
    """Do what openat2 does without it: one part at a time, each looked at before the next."""
    node = os.open(".", _LOOK, dir_fd=base)
    for part in filter(None, rest.split("/")):
        if part == "..":
            os.close(node)
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), rest)
        node = _step(node, part, rest)
    if flags & os.O_DIRECTORY and not stat.S_ISDIR(os.fstat(node).st_mode):
        os.close(node)
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), rest)
    return node


def _step(folder: int, part: str, rest: str) -> int:
    try:
        node = os.open(part, _LOOK | os.O_NOFOLLOW, dir_fd=folder)
    finally:
        os.close(folder)
    if stat.S_ISLNK(os.fstat(node).st_mode):
        os.close(node)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), rest)
    return node
