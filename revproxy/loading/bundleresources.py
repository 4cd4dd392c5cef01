"""The files of a bundle for `importlib.resources`: a tree in memory, in place of a folder."""

from __future__ import annotations

import io
from collections.abc import Iterator
from importlib.resources.abc import Traversable, TraversableResources
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from revproxy.bundles.bundle import Bundle


class BundleFile(Traversable):
    """A file or folder of a bundle, there or not."""

    def __init__(self, bundle: Bundle, path: str = "") -> None:
        """
        :param path: below the plugin's folder, with ``/``; empty: the folder itself.
        """
        self._bundle = bundle
        self._path = path

    @property
    def name(self) -> str:
        return self._path.rpartition("/")[2] or self._bundle.name

    def __str__(self) -> str:
        return str(self._bundle.directory / self._path)

    def __repr__(self) -> str:
        return f"<{self} as it was loaded>"

    def is_file(self) -> bool:
        return self._path in self._bundle.files

    def is_dir(self) -> bool:
        return any(path.startswith(self._prefix) for path in self._bundle.files)

    def iterdir(self) -> Iterator[BundleFile]:
        """:raises NotADirectoryError: it is none."""
        if not self.is_dir():
            raise NotADirectoryError(str(self))
        prefix = self._prefix
        below = (path[len(prefix) :] for path in self._bundle.files if path.startswith(prefix))
        for name in dict.fromkeys(path.partition("/")[0] for path in below):
            yield BundleFile(self._bundle, prefix + name)

    def joinpath(self, *descendants: Any) -> BundleFile:
        steps = [step for each in (self._path, *map(str, descendants)) for step in each.split("/")]
        kept: list[str] = []
        for step in steps:
            if step == "..":
                kept = kept[:-1]  # there is nothing above the plugin's folder
            elif step not in ("", "."):
                kept.append(step)
        return BundleFile(self._bundle, "/".join(kept))

    __truediv__ = joinpath

    def read_bytes(self) -> bytes:
        """:raises FileNotFoundError: there is no such file."""
        try:
            return self._bundle.files[self._path]
        except KeyError:
            raise FileNotFoundError(f"the plugin has no file {self}") from None

    def open(self, mode: str = "r", *arguments: Any, **options: Any) -> IO[Any]:
        """:raises ValueError: to write. :raises FileNotFoundError: there is no such file."""
        if mode not in ("r", "rt", "rb"):
            raise ValueError(f"{self} can be read only")
        data = io.BytesIO(self.read_bytes())
        return data if mode == "rb" else io.TextIOWrapper(data, *arguments, **options)

    def read_text(self, encoding: str | None = None) -> str:
        with self.open("r", encoding=encoding or "utf-8") as file:
            return str(file.read())

    @property
    def _prefix(self) -> str:
        return f"{self._path}/" if self._path else ""


class BundleResources(TraversableResources):
    """What `importlib.resources` is given for one package."""

    def __init__(self, bundle: Bundle, folder: str) -> None:
        self._root = BundleFile(bundle, folder)

    def files(self) -> BundleFile:
        return self._root
