"""
Which version's code a module is: how the guard knows whom to blame.
"""

from __future__ import annotations

from collections.abc import Iterable
from weakref import WeakValueDictionary

from revproxy.loading.bundlefinder import ROOT
from revproxy.loading.tracebacks import stampIn, stampOf
from revproxy.worker.guard.stacksampler import Culprit
from revproxy.worker.lifecycle.instance import Instance, Version


class Culprits:
    """
    All versions whose code is in memory, by the names of their packages.
    """

    def __init__(self) -> None:
        self._packages: WeakValueDictionary[str, Version] = WeakValueDictionary()
        self._loading: Version | None = None

    def loading(self, version: Version | None) -> None:
        """
        This version's code is about to run for the first time; None: that is over.
        """
        loaded, self._loading = self._loading, version
        if loaded is not None and loaded.module is not None:
            # Its start and the rest are to be known by name, long before it serves.
            self._packages[loaded.module.package] = loaded

    def adopt(self, instances: Iterable[Instance]) -> None:
        """
        These run now; drop-ins are known from here on.
        """
        for instance in instances:
            if instance.locked is not None:
                continue  # its code does not run here
            self._packages[_packageOf(instance)] = instance.version

    def versionOf(self, module: str) -> Version | None:
        """
        :returns: the version whose code a module is, by the module's name.
        """
        if not module.startswith(ROOT):
            return self._packages.get(module)
        package = ".".join(module.split(".", 2)[:2])
        return self._packages.get(package) or self._loading

    def versionOfFile(self, filename: str) -> Version | None:
        """
        :returns: the version whose code is in a file, by what the code calls it; of drop-ins it is not known.
        """
        stamp = stampIn(filename)
        if stamp is None:
            return None
        # A list of them at once: this may be another thread than the one that adds to them.
        versions = [each for reference in self._packages.valuerefs() if (each := reference()) is not None]
        modules = ((each.module, each) for each in versions)
        return next((each for module, each in modules if module is not None and stampOf(module.bundle) == stamp), None)

    def identify(self, module: str) -> Culprit | None:
        """
        See `revproxy.worker.guard.stacksampler.Identify`.
        """
        version = self.versionOf(module)
        return None if version is None else Culprit(version.name, str(version), version.limit, version)


def _packageOf(instance: Instance) -> str:
    module = instance.version.module
    return module.package if module is not None else type(instance.object).__module__
