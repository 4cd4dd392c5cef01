"""
References in a plugin.json (see `references`): they are requests.

A plugin that could name any file would be given the TLS key. So they have the values that revproxy.yaml grants to that
plugin, and no other.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from revproxy.config.document import Document
from revproxy.config.manifest import ConfigLayer, Manifest, effectiveConfig
from revproxy.config.problems import Problem, quoted
from revproxy.config.references import ENVIRONMENT, FILE, References, Unresolved
from revproxy.config.settings import GrantConfig


class _Requests(References):
    """Those of a plugin.json."""

    def __init__(self, document: Document, plugin: str, grant: GrantConfig, signer: str) -> None:
        super().__init__(document)
        self._signer = signer
        self._plugin = plugin
        self._grant = grant

    def valueOf(self, kind: str, name: str) -> str:
        isFile = kind == FILE
        granted = self._grant.files if isFile else self._grant.environment
        wanted = os.path.normpath(name) if isFile else name
        for given, value in granted.items():
            if wanted == (os.path.normpath(given) if isFile else given):
                return str(value)
        key, what = ("files", f"the file {name}") if isFile else ("environment", f"the environment's {name}")
        also = f", and under trust.signers.{self._signer}.permissions the same {key}" if self._signer else ""
        raise Unresolved(
            f"asks for {what}, which revproxy.yaml does not grant; if it may have that, write there: "
            f"plugins: {{grants: {{{self._plugin}: {{{key}: [{quoted(name)}]}}}}}}{also}"
        )


def grantedConfig(
    manifest: Manifest, layers: Sequence[ConfigLayer], grant: GrantConfig | None, signer: str = ""
) -> tuple[dict[str, Any], list[Problem]]:
    """
    A plugin's effective configuration (see `effectiveConfig`), in which its requests are granted or refused. What
    revproxy.yaml overrides is not asked for.

    :param signer: whose bounds the grant is within, for messages; empty: nobody's.
    """
    config = effectiveConfig(manifest, layers)
    document = manifest.document or Document(manifest.source, None)
    requests = _Requests(document, manifest.name, grant or GrantConfig(), signer)
    for key in manifest.config:
        if key in (ENVIRONMENT, FILE):
            requests.refuse(("config", key), f"a configuration has no key {key}; its values may be references")
        elif not any(key in layer.values for layer in layers):
            config[key] = requests.resolve(config[key], ("config", key))
    return config, requests.problems
