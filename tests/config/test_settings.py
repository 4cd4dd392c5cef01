"""Routes that say the same of plugins."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.settings import RouteConfig, groupRoutes


class RouteGroupTests(SynchronousTestCase):
    """`groupRoutes`."""

    def groups(self, *plugins: dict[str, Any]) -> list[tuple[Any, tuple[int, ...]]]:
        """What routes that say this are made into."""
        routes = [RouteConfig(None, plugins=said) for said in plugins]
        return [(group.plugins, group.routes) for group in groupRoutes(routes)]

    def test_none(self) -> None:
        """No routes are no groups."""
        self.assertEqual(self.groups(), [])

    def test_equal(self) -> None:
        """What says the same is one, whatever the order of its words."""
        one, other = {"a": {"x": 1, "y": 2}, "b": True}, {"b": True, "a": {"y": 2, "x": 1}}
        self.assertEqual(self.groups({}, one, {}, other), [({}, (0, 2)), (one, (1, 3))])

    def test_different(self) -> None:
        """To a plugin 1, 1.0, true and their texts are different, and to be on is not to be off."""
        said: list[dict[str, Any]] = [{"a": {"x": x}} for x in (1, 1.0, True, "1", "true", None, [1])]
        said += [{"a": True}, {"a": False}, {"a": {}}, {}]
        self.assertEqual(len(self.groups(*said)), len(said))
