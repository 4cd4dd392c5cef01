"""docs/recording.md says what recordings and the commands about them are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from twisted.trial.unittest import SynchronousTestCase

from revproxy.cli.recordcommands import record, recordings
from revproxy.cli.replaycommand import replay
from revproxy.control import recordings as keeping
from revproxy.replay.corpus import End, Header
from revproxy.replay.outcome import Outcome, Raised
from revproxy.replay.recordedcall import RecordedCall, RecordedExchange, RecordedResponse
from revproxy.replay.recordedrequest import PluginCall, RecordedRequest
from revproxy.replay.redaction import HIDDEN
from revproxy.replay.redactionrules import PARAMETERS

PAGE = Path(__file__).parents[2] / "docs" / "recording.md"


class RecordingTests(SynchronousTestCase):
    """The page."""

    def setUp(self) -> None:
        self.text = PAGE.read_text(encoding="utf-8")

    def part(self, title: str) -> str:
        """What is below a title, up to the next one."""
        return re.split(r"\n##+ ", self.text.partition(f"# {title}\n")[2])[0]

    def test_format(self) -> None:
        """Every member of every line is there, and no other."""
        said = set(re.findall(r"`([A-Za-z]+)`", self.part("The format")))
        kinds: tuple[Any, ...] = (
            Header, End, RecordedRequest, PluginCall, RecordedCall, RecordedExchange, RecordedResponse, Outcome, Raised
        )
        members = {member for kind in kinds for member in kind.__struct_fields__}
        self.assertEqual(members - said, set())
        words = {"grep", "jq", "handle", "handleResponse", "null", "replay"}
        self.assertEqual(said - members - words, set())

    def test_redacted(self) -> None:
        """What is taken out is what is said to be."""
        said = {word.lower() for word in re.findall(r"`([A-Za-z-]+)`", self.part("What is taken out"))}
        self.assertEqual((HIDDEN | PARAMETERS) - said, set())

    def test_bounds(self) -> None:
        """So are the bounds."""
        text = self.part("Record")
        self.assertIn(f"{keeping.USUAL_REQUESTS:,} requests", text)
        self.assertIn(f"{keeping.USUAL_BYTES >> 20} MB", text)
        self.assertIn("a day at\nmost", text)
        self.assertEqual(keeping.MOST_SECONDS, 86400)

    def test_options(self) -> None:
        """Each option that is named is one of a command's; each of theirs is named, there or where commands are."""
        has = {option for command in (record, replay, *recordings.commands.values()) for parameter in command.params
               for option in parameter.opts if option.startswith("--")}  # fmt: skip
        said = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]*)", self.text))
        self.assertEqual(said - has, set())
        usual = {"--config", "--state", "--url", "--token-file", "--json", "--output", "--name", "--detach", "--reason",
                 "--timeout"}  # fmt: skip
        self.assertEqual(has - said - usual, set())

    def test_workflow(self) -> None:
        """The recipe is YAML, and its commands have an exit status that counts."""
        block = re.findall(r"```yaml\n(# .github.*?)```", self.text, re.DOTALL)[0]
        steps = YAML(typ="safe").load(block)["jobs"]["replay"]["steps"]
        self.assertIn("revproxy replay --folder plugins/quota --against-folder", steps[-1]["run"])
