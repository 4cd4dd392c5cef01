"""An edge that is stopped in the midst of a change takes the change back before it stops its plugins."""

from __future__ import annotations

from revproxy.control.changes import ChangeRefused
from tests.witnesses import WitnessCase, witnessed


class StopTests(WitnessCase):
    """The edge is being stopped in the midst of a change."""

    def test_inPlace(self) -> None:
        """What has taken another configuration is given back the old one before it is stopped, and what was new is
        stopped, too."""
        self.configurePlugins("{a: {value: one}}")
        update = """
    def validateConfig(self, config): pass
    def updateConfig(self, config):
        self.witness.log.append(config["value"])
        return self.witness.wait("update") if config["value"] == "two" else None
    def start(self): pass
    def stop(self): self.witness.log.append("stopped")
"""
        self.bench.write("a", witnessed(update, "IConfigurable, ILifecycle"))
        self.bench.start()
        self.bench.write("b", witnessed("""
    def start(self): pass
    def stop(self): self.witness.log.append("b stopped")
""", "ILifecycle"))
        self.configurePlugins("{a: {value: two}}")
        changing = self.bench.later(self.bench.coordinator.apply())
        self.bench.clock.pump([0] * 9)
        self.assertEqual(self.witness.log, ["two"])
        ended = self.bench.later(self.bench.end())
        self.bench.clock.pump([0] * 9)
        self.witness.waits["update"].callback(None)
        self.failureResultOf(changing, ChangeRefused)
        self.bench.clock.pump([0] * 9)
        self.assertEqual(self.witness.log, ["two", "one", "b stopped", "stopped"])
        self.successResultOf(ended)
