"""
Everything on disk that says what the edge is to be: the configuration file, the folder of plugins, the certificates.

Reading blocks, and is therefore done in a thread. What has not changed since the last time is the same object.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from revproxy.config.configfile import parseConfig
from revproxy.config.document import MAX_BYTES, decodeText
from revproxy.config.problems import ConfigErrors, Problem
from revproxy.config.references import isCurrent
from revproxy.config.settings import Config
from revproxy.control.catalogreader import CatalogReader
from revproxy.control.certificatefiles import CertificateReader
from revproxy.control.history.standing import configText
from revproxy.control.trust.trustfiles import TrustFiles
from revproxy.plan.catalog import Catalog
from revproxy.plan.pemfiles import PemFiles
from revproxy.plan.words import DropIns
from revproxy.regularfile import readFile


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    What the files say at one moment.

    :ivar config: that of the file, or, if that will not do, the one that was there before.
    :ivar catalog: the plugins; None if their folder cannot be read.
    :ivar certificates: by `pemKey`, the files of the listeners' certificates.
    :ivar configErrors: why the file will not do.
    :ivar catalogErrors: why the folder of plugins cannot be read.
    :ivar place: device and inode of the folder of plugins; None if there is none.
    """

    config: Config
    catalog: Catalog | None
    certificates: Mapping[str, PemFiles] = field(default_factory=dict)
    configErrors: ConfigErrors | None = None
    catalogErrors: ConfigErrors | None = None
    place: tuple[int, int] | None = None


class SnapshotReader:
    """
    Reads again and again. For one thread at a time.

    :ivar trustFiles: what the files say that the section ``trust`` names.
    """

    def __init__(self, path: Path | None, config: Config) -> None:
        """
        :param path: the configuration file; None where there is none. Plugins may change the working directory later.
        :param config: what was read from the file at first.
        """
        self._path = None if path is None else path.absolute()
        self._source = config.source
        self.trustFiles = TrustFiles()
        self._catalogs = CatalogReader()
        self._certificates = CertificateReader()
        self._text = None if config.document is None else config.document.text
        self._config: Config = config
        self._accepted = self._text
        self._before: tuple[Config, str | None] = config, self._text
        self._errors: ConfigErrors | None = None

    @property
    def referredFiles(self) -> frozenset[str]:
        """Files that the configuration file refers to, as it was read last, be it refused."""
        errors = self._errors  # a thread may be reading
        return frozenset(self._config.referredFiles) if errors is None else errors.files

    def install(self, dropIns: DropIns) -> None:
        """These are the plugins that are installed with Python."""
        self._catalogs.dropIns = dropIns

    def read(
        self,
        current: Config,
        owners: Mapping[str, Path] | None = None,
        useCurrent: bool = False,
        edited: Config | None = None,
    ) -> Snapshot:
        """
        Blocks while it reads.

        :param current: the configuration that is in force.
        :param owners: by name, the folder of the plugin that keeps it when another one claims the same.
        :param useCurrent: pay no attention to the configuration file.
        :param edited: what it is about to say; None: what it says.
        """
        self._keep(current)
        config, errors = (edited or current, None) if useCurrent or edited else self._read(current)
        certificates = self._certificates.read(config)
        self.trustFiles.read(config.trust)
        place = _placeOf(config.plugins.directory)
        try:
            catalog = self._catalogs.read(config.plugins.directory, owners, config.plugins.maxBytes)
        except ConfigErrors as unreadable:
            return Snapshot(config, None, certificates, errors, unreadable)
        return Snapshot(config, catalog, certificates, errors, place=place)

    def again(
        self,
        current: Config,
        owners: Mapping[str, Path] | None = None,
        useCurrent: bool = False,
        edited: Config | None = None,
    ) -> Snapshot:
        """
        What was read last, with certificates, and what is revoked, as they are now; as :meth:`read`. For where nobody
        watches the rest.
        """
        self._keep(current)
        if useCurrent or self._path is None or edited is not None:
            config, errors = edited or current, None
        else:
            config, errors = self._kept(current)
        certificates = self._certificates.read(config)
        self.trustFiles.read(config.trust, isLockRead=False)
        try:
            catalog = self._catalogs.again(config.plugins.directory, owners)
        except ConfigErrors as unreadable:
            return Snapshot(config, None, certificates, errors, unreadable)
        return Snapshot(config, catalog, certificates, errors)

    def adopt(self, config: Config, text: str) -> None:
        """This is what the configuration file says now: we have written it. While nothing is read."""
        self._config, self._errors = config, None
        self._text = self._accepted = text

    def textOf(self, config: Config) -> str:
        """
        The text of a configuration; with its comments as they are by now, if it is the one that was read last, or that
        was in force then. Of options, the same as JSON.
        """
        for known, text in ((self._config, self._accepted), self._before):
            if config is known and text is not None:
                return text
        return configText(config)

    def _keep(self, current: Config) -> None:
        """What is read next may be refused: the text of what is in force is to be known also then."""
        if current is self._config:
            self._before = current, self._accepted

    def _read(self, current: Config) -> tuple[Config, ConfigErrors | None]:
        if self._path is None:
            return current, None
        try:
            data = readFile(self._path, MAX_BYTES)
        except OSError as error:
            return current, ConfigErrors([Problem(self._source, 0, 0, "", f"cannot be read: {error.strerror}")])
        try:
            text = decodeText(data, self._source)
        except ConfigErrors as undecodable:
            return current, undecodable
        isSame = text == self._text and isCurrent(self._config.referredFiles)
        if not isSame or self._errors is not None:  # a folder it names may have come
            try:
                self._config, self._errors = parseConfig(text, self._source, self._path.parent), None
            except ConfigErrors as wrong:
                self._errors = wrong
            else:
                if self._config == current:
                    self._config = current  # only comments have changed
                self._accepted = text
            self._text = text
        return self._kept(current)

    def _kept(self, current: Config) -> tuple[Config, ConfigErrors | None]:
        return (self._config, None) if self._errors is None else (current, self._errors)


def _placeOf(folder: Path | None) -> tuple[int, int] | None:
    try:
        found = None if folder is None else os.stat(folder)
    except OSError:
        return None
    return None if found is None else (found.st_dev, found.st_ino)
