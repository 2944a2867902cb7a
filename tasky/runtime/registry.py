"""Finds workers: modules by name, folders of modules, the entry-point group `tasky.workers`.

A module that fails or hangs at import is listed with its error and harms no other.
"""

import importlib
import importlib.util
import logging
import pkgutil
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from tasky.errors import WorkerTaken, WorkerUnknown, nearest
from tasky.model import NotLoaded, Worker
from tasky.worker import WorkerBase, WorkerSpec, spec_of

IMPORT_PATIENCE_S = 10.0
QUIET_S = 3.0
"""After this time people are told which module they are waiting for."""
ENTRY_POINTS = "tasky.workers"

log = logging.getLogger("tasky.runtime")


@dataclass(slots=True)
class Registered:
    """A loaded worker and what people set for it."""

    spec: WorkerSpec
    row_id: int = 0
    enabled: bool = True
    disabled_reason: str | None = None
    max_running: int | None = None
    queue: str | None = None
    version: int = 1
    # Fields of its config that nobody is shown.
    secrets: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        properties = self.spec.schema.json_schema["properties"]
        self.secrets = frozenset(n for n, form in properties.items() if form.get("writeOnly"))

    def described(self) -> Worker:
        """Return the worker as everybody sees it."""
        spec, schema = self.spec, self.spec.schema
        return Worker(
            name=spec.name,
            title=schema.title,
            description=schema.description,
            usage=schema.usage(spec.name),
            executor=spec.executor,
            enabled=self.enabled,
            disabled_reason=self.disabled_reason,
            max_running=self.max_running or spec.max_running,
            queue=self.queue or spec.queue,
            supports=spec.supports,
            config_schema=schema.json_schema,
            sample_config=schema.sample,
            timeout_s=spec.timeout_s,
            max_attempts=spec.max_attempts,
            idempotent=spec.idempotent,
            version=self.version,
        )


@dataclass
class Registry:
    """Workers by name, whatever the case. Filled at start, read from every thread."""

    workers: dict[str, Registered] = field(default_factory=dict)
    not_loaded: list[NotLoaded] = field(default_factory=list)
    _by_row: dict[int, Registered] = field(default_factory=dict)

    def add(self, spec: WorkerSpec) -> Registered:
        """Take a worker in. Raises `WorkerTaken` when another one has the name."""
        known = self.workers.get(spec.name)
        if known is not None:
            if known.spec.function is spec.function or _same_code(known.spec, spec):
                return known
            raise WorkerTaken(name=spec.name, here=known.spec.module, there=spec.module)
        self.workers[spec.name] = registered = Registered(spec)
        return registered

    def bind(self, registered: Registered, row_id: int) -> None:
        """Tie a worker to its row."""
        registered.row_id = row_id
        self._by_row[row_id] = registered

    def by_row(self, row_id: int) -> Registered | None:
        """Return the worker of a row, None while it is not loaded."""
        return self._by_row.get(row_id)

    def get(self, name: str) -> Registered:
        """Return a worker by name. Raises `WorkerUnknown` with the closest name."""
        found = self.workers.get(name) or self.workers.get(name.lower())
        if found is None:
            raise WorkerUnknown(name=name[:64], near=nearest(name, self.workers))
        return found

    def load(self, source: str) -> None:
        """Load a module by name, a package with its modules, a `.py` file or a folder of them."""
        path = Path(source)
        if path.suffix == ".py" or path.is_dir():
            for file in [path] if path.suffix == ".py" else sorted(path.glob("[!_]*.py")):
                self._load_one(str(file), lambda file=file: _import_file(file))  # type: ignore[misc]  # early binding
            return
        package = self._load_one(source, lambda: importlib.import_module(source))
        for name in _modules_of(package):
            self._load_one(name, lambda name=name: importlib.import_module(name))  # type: ignore[misc]  # early binding

    def load_entry_points(self) -> None:
        """Load every worker module that an installed package announces."""
        from importlib.metadata import entry_points

        for entry in entry_points(group=ENTRY_POINTS):
            self._load_one(entry.value, lambda entry=entry: _module_of(entry.load()))  # type: ignore[misc]  # early binding

    def _load_one(self, name: str, load: Callable[[], ModuleType]) -> ModuleType | None:
        found, error = _patiently(name, lambda: _found_in(load()))
        if found is None:
            self._refuse(name, error)
            return None
        for spec in found.specs:
            try:
                self.add(spec)
            except WorkerTaken as problem:
                self._refuse(name, str(problem))
        for flaw in found.flaws:
            self._refuse(name, flaw)
        return found.module

    def _refuse(self, module: str, error: str) -> None:
        log.warning("worker module %s was not loaded: %s", module, error)
        self.not_loaded.append(NotLoaded(module, error))


@dataclass(slots=True)
class _Found:
    """A module that was imported, its workers, and what is wrong with others of it."""

    module: ModuleType
    specs: list[WorkerSpec] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)


def _found_in(module: ModuleType) -> _Found:
    """Make the specs of a module; a class worker's runs its author's code, which may hang too."""
    found = _Found(module)
    for target in workers_in(module):
        try:
            found.specs.append(spec_of(target))
        except (ValueError, TypeError) as problem:
            found.flaws.append(str(problem))
        except Exception as problem:  # noqa: BLE001  # its author's code raises what it likes
            found.flaws.append(f"{type(problem).__name__}: {problem}")
    return found


def workers_in(module: ModuleType) -> Iterator[Any]:
    """Yield the functions and classes of a module that are workers and its own."""
    for value in list(vars(module).values()):
        if getattr(value, "__module__", None) != module.__name__:
            continue
        marked = "__tasky_worker__" in getattr(value, "__dict__", {})
        if marked or (isinstance(value, type) and issubclass(value, WorkerBase)):
            yield value


def _same_code(one: WorkerSpec, other: WorkerSpec) -> bool:
    """Tell whether two specs come from one definition that was imported twice."""
    codes = [getattr(spec.function, "__code__", None) for spec in (one, other)]
    return codes[0] is not None and codes[0] == codes[1]


def _modules_of(package: ModuleType | None) -> Iterable[str]:
    path = getattr(package, "__path__", None)
    if package is None or path is None:
        return ()
    return sorted(info.name for info in pkgutil.iter_modules(path, f"{package.__name__}."))


def _module_of(loaded: Any) -> ModuleType:
    return loaded if isinstance(loaded, ModuleType) else sys.modules[loaded.__module__]


def _import_file(file: Path) -> ModuleType:
    name = file.stem
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs: dataclasses and msgspec look a module up by its name.
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


def _patiently(name: str, load: Callable[[], _Found]) -> tuple[_Found | None, str]:
    """Import in a thread of its own, so that a module that hangs or exits harms nobody."""
    got: list[_Found] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            got.append(load())
        except BaseException as problem:  # noqa: BLE001  # SystemExit at import is an error of the module
            failed.append(problem)

    thread = threading.Thread(target=run, name=f"tasky-import-{name}", daemon=True)
    thread.start()
    quiet_s = min(QUIET_S, IMPORT_PATIENCE_S)
    thread.join(quiet_s)
    if thread.is_alive() and quiet_s < IMPORT_PATIENCE_S:
        log.warning(
            "still loading worker module %s; it is left out after %g s",
            name.replace("\n", " "), IMPORT_PATIENCE_S,
        )  # fmt: skip
        thread.join(IMPORT_PATIENCE_S - quiet_s)
    if got:
        return got[0], ""
    if not failed:
        return None, f"its import did not end within {IMPORT_PATIENCE_S:g} s"
    return None, f"{type(failed[0]).__name__}: {failed[0]}"
