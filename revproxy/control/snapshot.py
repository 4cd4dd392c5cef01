"""
A look at everything on disk that says what the edge is to be: the configuration file, and the folder of plugins.

Blocks, and is therefore run in a thread. What has not changed since the last look is the same object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from revproxy.config.configfile import parseConfig
from revproxy.config.document import MAX_BYTES, decodeText
from revproxy.config.problems import ConfigErrors, Problem
from revproxy.config.settings import Config
from revproxy.plan.catalog import Catalog, CatalogReader
from revproxy.regularfile import readFile


@dataclass(frozen=True, slots=True)
class Look:
    """What was found.

    :ivar config: that of the file, or, if that will not do, the one that was there before.
    :ivar configErrors: why the file will not do.
    :ivar catalogErrors: why the folder of plugins cannot be read; the catalog is then None.
    """

    config: Config
    catalog: Catalog | None
    configErrors: ConfigErrors | None = None
    catalogErrors: ConfigErrors | None = None


class Scan:
    """
    Looks again and again.

    :ivar path: the configuration file, absolute; None where there is none.
    :ivar source: what messages call it.
    """

    def __init__(self, path: Path | None, config: Config, reader: CatalogReader | None = None) -> None:
        """
        :param path: plugins may change the working directory later.
        :param config: what was read from the file at first.
        """
        self.path = None if path is None else path.absolute()
        self.source = config.source
        self._reader = reader or CatalogReader()
        self._text = None if config.document is None else config.document.text
        self._config: Config = config
        self._errors: ConfigErrors | None = None

    def look(self, current: Config, homes: Mapping[str, Path] | None = None, useCurrent: bool = False) -> Look:
        """
        :param current: the configuration that is in force.
        :param homes: by name, the folder of the plugin that keeps it when another one claims the same.
        :param useCurrent: pay no attention to the file.
        """
        config, errors = (current, None) if useCurrent else self._read(current)
        try:
            return Look(config, self._reader.read(config.plugins.directory, homes), errors)
        except ConfigErrors as unreadable:
            return Look(config, None, errors, unreadable)

    def _read(self, current: Config) -> tuple[Config, ConfigErrors | None]:
        if self.path is None:
            return current, None
        try:
            data = readFile(self.path, MAX_BYTES)
        except OSError as error:
            return current, ConfigErrors([Problem(self.source, 0, 0, "", f"cannot be read: {error.strerror}")])
        try:
            text = decodeText(data, self.source)
        except ConfigErrors as undecodable:
            return current, undecodable
        if text != self._text or self._errors is not None:  # a folder it names may have come
            try:
                self._config, self._errors = parseConfig(text, self.source, self.path.parent), None
            except ConfigErrors as wrong:
                self._errors = wrong
            else:
                if self._config == current:
                    self._config = current  # only comments have changed
            self._text = text
        return (self._config, None) if self._errors is None else (current, self._errors)
