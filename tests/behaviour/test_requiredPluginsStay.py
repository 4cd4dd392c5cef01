"""A required plugin never leaves by accident: what it guards is not served without it."""

from __future__ import annotations

import json
import shutil
from typing import Any

from revproxy.config.problems import ConfigErrors
from revproxy.control.commands import CommandError
from revproxy.control.startup import StartRefused
from revproxy.control.state.records import PluginRecords
from revproxy.dropin import DropIn
from tests.control.test_coordinator import code
from tests.coordinators import PLUGIN
from tests.witnesses import FAILING, WitnessCase

BROKEN = "1 / 0"


class RequiredCase(WitnessCase):
    """auth is required, and other is not."""

    def begin(self, extra: str = "", **manifest: Any) -> None:
        """:param extra: more of what revproxy.yaml says of plugins."""
        if extra:
            self.say(extra)
        self.bench.write("auth", **({"required": True} if not extra else {}), **manifest)
        self.bench.write("other")
        self.bench.start()

    def say(self, extra: str, routes: str = "[{respond: {}}]") -> None:
        """What revproxy.yaml says of plugins."""
        self.bench.configure(routes, f"plugins: {{directory: plugins, {extra}}}\n")

    def remove(self, *names: str) -> None:
        """Folders are deleted, and that is noticed."""
        for name in names:
            shutil.rmtree(self.bench.plugins / name)
        self.apply()

    def leave(self) -> None:
        """The process ends."""
        self.bench.stop()
        del self.bench.state

    def told(self, kind: str) -> list[str]:
        """Texts of the events of a kind."""
        return [event.text for event in self.bench.events.latest(1000) if event.kind == kind]

    def refusedStart(self) -> str:
        """Why the edge does not start."""
        return str(self.assertRaises(ConfigErrors, self.bench.prepare))


class FolderGoneTests(RequiredCase):
    """Its folder is deleted, and copied back, whole or bit by bit."""

    def test_runsOn(self) -> None:
        """Without its folder it runs on; that is told once."""
        self.begin()
        self.remove("auth")
        self.bench.write("third")
        self.apply()
        self.assertEqual(self.bench.seen(), ["auth 1.0.0", "other 1.0.0", "third 1.0.0"])
        (text,) = self.told("required-folder-gone")
        self.assertIn("`revproxy disable auth`", text)
        self.assertEqual(self.told("removed"), [])
        (status,) = self.call("plugins", name="auth")
        self.assertEqual((status["state"], status["required"], status["failure"]["stage"]),
                         ("running", True, "required"))

    def test_named(self) -> None:
        """So does one that revproxy.yaml requires."""
        self.begin("required: [auth]")
        self.remove("auth")
        self.assertEqual(self.bench.seen(), ["auth 1.0.0", "other 1.0.0"])

    def test_others(self) -> None:
        """What is not required is removed with its folder, as ever."""
        self.begin()
        self.remove("other")
        self.assertEqual(self.bench.seen(), ["auth 1.0.0"])

    def test_slowCopy(self) -> None:
        """Copied back file by file it is never missing, and then it runs as copied."""
        self.begin()
        folder = self.bench.plugins / "auth"
        manifest = (folder / "plugin.json").read_text()
        self.remove("auth")
        steps = [lambda: folder.mkdir(), lambda: (folder / "plugin.py").write_text(""),
                 lambda: (folder / "plugin.py").write_text(PLUGIN.format(name="auth", says="auth 2")),
                 lambda: (folder / "plugin.json").write_text(manifest[:20]),
                 lambda: (folder / "plugin.json").write_text(manifest)]
        for step in steps:
            self.assertEqual(self.bench.seen()[0], "auth 1.0.0")
            step()
            self.apply()
        self.assertEqual(self.bench.seen()[0], "auth 2")
        self.assertEqual(self.bench.failure("auth"), "")

    def test_manifestFirst(self) -> None:
        """Also when plugin.json comes before plugin.py."""
        self.begin()
        (self.bench.plugins / "auth" / "plugin.py").unlink()
        self.apply()
        self.assertEqual(self.bench.seen()[0], "auth 1.0.0")

    def test_manifestGone(self) -> None:
        """Also when plugin.json goes and plugin.py stays."""
        self.begin()
        (self.bench.plugins / "auth" / "plugin.json").unlink()
        self.apply()
        self.assertEqual(self.bench.seen()[0], "auth 1.0.0")

    def test_renamedFolder(self) -> None:
        """A folder may have another name."""
        self.begin()
        shutil.move(self.bench.plugins / "auth", self.bench.plugins / "10-auth")
        self.apply()
        self.assertEqual((self.bench.seen()[0], self.bench.failure("auth")), ("auth 1.0.0", ""))

    def test_otherName(self) -> None:
        """With another name in its plugin.json it is another plugin, and this one runs on."""
        self.begin()
        shutil.move(self.bench.plugins / "auth", self.bench.plugins / "login")
        self.manifest("login", json.dumps({"name": "login", "version": "1"}))
        self.apply()
        self.assertEqual(self.bench.seen(), ["auth 1.0.0", "auth 1.0.0", "other 1.0.0"])

    def test_requiredNoMore(self) -> None:
        """A new version that is not required is a change like others, and told; then it leaves with its folder."""
        self.begin()
        self.bench.write("auth", version="2.0.0")
        self.apply()
        self.assertEqual(len(self.told("required-ended")), 1)
        self.remove("auth")
        self.assertEqual(self.bench.seen(), ["other 1.0.0"])

    def test_offTheList(self) -> None:
        """Off the list in revproxy.yaml it leaves, too, if its folder is gone."""
        self.begin("required: [auth]")
        self.remove("auth")
        self.say("config: {}")
        self.apply()
        self.assertEqual(self.bench.seen(), ["other 1.0.0"])


class OffTests(RequiredCase):
    """Somebody wants it off."""

    def test_command(self) -> None:
        """A command switches it off, which is told."""
        self.begin()
        self.call("disable", name="auth")
        self.assertEqual(self.bench.seen(), ["other 1.0.0"])
        (text,) = self.told("required-off")
        self.assertIn("`revproxy disable auth`", text)

    def test_commandWithoutFolder(self) -> None:
        """Also where the folder is gone."""
        self.begin()
        self.remove("auth")
        self.call("disable", name="auth")
        self.assertEqual((self.bench.seen(), self.bench.failure("auth")), (["other 1.0.0"], ""))

    def test_file(self) -> None:
        """So does the file, with the folder and without; a restart changes nothing of that."""
        self.begin()
        self.remove("auth")
        self.say("config: {auth: false}")
        self.apply()
        self.assertEqual(self.bench.seen(), ["other 1.0.0"])
        self.assertIn("revproxy.yaml", self.told("required-off")[0])
        self.apply()
        self.restart()
        self.assertEqual(self.bench.seen(), ["other 1.0.0"])

    def test_listedAndOff(self) -> None:
        """The file may require it and say that it is off: the latter is somebody's word."""
        self.begin("required: [auth]")
        self.say("required: [auth], config: {auth: false}")
        self.apply()
        self.remove("auth")
        self.restart()
        self.assertEqual(self.bench.seen(), ["other 1.0.0"])

    def test_route(self) -> None:
        """On a route, too."""
        self.begin()
        self.say("config: {}", "[{respond: {}}, {path: /open, respond: {}, plugins: {auth: false}}]")
        self.apply()
        self.assertEqual(self.told("required-off"), [])  # the route is new
        self.say("config: {}", "[{respond: {}, plugins: {auth: false}}, {path: /open, respond: {}}]")
        self.apply()
        self.assertEqual((self.bench.seen("/"), self.bench.seen("/open")),
                         (["other 1.0.0"], ["auth 1.0.0", "other 1.0.0"]))
        self.assertEqual(len(self.told("required-off")), 1)

    def test_refusedFile(self) -> None:
        """A file that is refused switches nothing off."""
        self.begin()
        self.remove("auth")
        self.say("config: {auth: false, nobody: true}")
        self.apply()
        self.assertEqual(self.bench.seen(), ["auth 1.0.0", "other 1.0.0"])


class RestartTests(RequiredCase):
    """The edge begins again."""

    def test_folderGone(self) -> None:
        """The stored version stands in."""
        self.begin()
        self.leave()
        shutil.rmtree(self.bench.plugins / "auth")
        self.bench.start()
        self.assertEqual(self.bench.seen(), ["auth 1.0.0", "other 1.0.0"])
        self.assertEqual(len(self.told("required-folder-gone")), 1)

    def test_nothingStored(self) -> None:
        """Where there is none the edge does not start, and says which, where, and what to do."""
        self.begin()
        self.leave()
        shutil.rmtree(self.bench.plugins / "auth")
        shutil.rmtree(self.bench.root / "var" / "versions" / "auth")
        text = self.refusedStart()
        for part in (str(self.bench.plugins / "auth"), "auth is required", "auth: false"):
            self.assertIn(part, text)

    def test_nothingKnown(self) -> None:
        """A name that revproxy.yaml requires and nobody has is an error with its line."""
        self.say("required: [auth]")
        self.bench.write("other")
        self.assertIn("revproxy.yaml:4:42: ", self.refusedStart())

    def test_broken(self) -> None:
        """A broken version is replaced by the stored one."""
        self.begin()
        self.leave()
        self.bench.write("auth", BROKEN, "2.0.0", required=True)
        self.bench.start()
        self.assertEqual(self.bench.seen()[0], "auth 1.0.0")

    def test_brokenNewcomer(self) -> None:
        """A required plugin that never ran keeps the edge from starting where it cannot be used."""
        self.bench.write("other")
        self.bench.start()
        self.leave()
        self.bench.write("auth", BROKEN, required=True)
        self.assertIn("ZeroDivisionError", self.refusedStart())

    def test_unhealthyNewcomer(self) -> None:
        """Also where that shows only when it starts."""
        self.bench.write("other")
        self.bench.start()
        self.leave()
        body = "    def start(self): raise OSError('no')\n    def stop(self): pass"
        self.bench.write("auth", code("", body, "ILifecycle").replace('"a"', '"auth"'), required=True)
        self.assertRaises(StartRefused, self.bench.start)

    def test_unresolvedNewcomer(self) -> None:
        """And where it does not go with the others."""
        self.bench.write("other")
        self.bench.start()
        self.leave()
        self.bench.write("auth", required=True, requires={"nobody": ""})
        self.assertIn("nobody", self.refusedStart())


class NewcomerTests(RequiredCase):
    """A required plugin comes, and cannot be had."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("other")
        self.bench.start()

    def test_folder(self) -> None:
        """Its routes are answered 503 until it works; that is told."""
        self.say("config: {}", "[{respond: {}}, {path: /open, respond: {}, plugins: {auth: false}}]")
        self.bench.write("auth", BROKEN, required=True)
        self.apply()
        self.assertEqual((self.request("/"), self.request("/open")), ("PluginMissing", "other 1.0.0"))
        self.assertEqual(len(self.told("required-missing")), 1)
        self.assertIn("ZeroDivisionError", self.bench.failure("auth"))
        self.apply()
        self.assertEqual(self.request("/"), "PluginMissing")
        self.bench.write("auth", required=True)
        self.apply()
        self.assertEqual((self.request("/"), self.request("/open")), ("auth 1.0.0", "other 1.0.0"))

    def test_switchedOff(self) -> None:
        """Or until it is switched off."""
        self.bench.write("auth", BROKEN, required=True)
        self.apply()
        self.call("disable", name="auth")
        self.assertEqual(self.request(), "other 1.0.0")

    def test_folderGone(self) -> None:
        """Or until its folder is gone: it never guarded anything."""
        self.bench.write("auth", BROKEN, required=True)
        self.apply()
        self.remove("auth")
        self.assertEqual(self.request(), "other 1.0.0")

    def test_off(self) -> None:
        """Where it would not run, nothing is missing."""
        self.bench.write("auth", BROKEN, required=True, enabled=False)
        self.apply()
        self.assertEqual(self.request(), "other 1.0.0")

    def test_listed(self) -> None:
        """A list in revproxy.yaml that names one that is not there, is broken, or runs nowhere is refused."""
        self.say("required: [auth]")
        for wrong, write in (("no plugin named", lambda: None),
                             ("ZeroDivisionError", lambda: self.bench.write("auth", BROKEN)),
                             ("runs on no route", lambda: self.bench.write("auth", enabled=False))):
            write()
            self.apply()
            self.assertEqual(self.request(), "other 1.0.0")
            self.assertIn(wrong, self.bench.failure("") + self.bench.failure("auth"))


class QuarantineTests(RequiredCase):
    """It fails while it runs."""

    def test_closed(self) -> None:
        """With no version to go back to, its routes are answered 503."""
        self.bench.write("auth", FAILING.replace('"a"', '"auth"'), required=True)
        self.bench.start()
        self.assertEqual(self.requests(20), "PluginQuarantined")

    def test_requiredByTheFile(self) -> None:
        """Whoever is required does not fail open, whatever its plugin.json says."""
        self.say("required: [auth]")
        self.bench.write("auth", FAILING.replace('"a"', '"auth"'), on_error="open")
        self.bench.start()
        self.assertEqual(self.request(), "PluginFailed")
        self.assertEqual(self.requests(20), "PluginQuarantined")


class LostMountTests(RequiredCase):
    """All plugins are gone at once."""

    def lose(self) -> None:
        """The folder is empty."""
        for folder in list(self.bench.plugins.iterdir()):
            shutil.rmtree(folder)

    def test_emptied(self) -> None:
        """Nothing is removed, and one event says so."""
        self.bench.write("one")
        self.bench.write("two")
        self.bench.start()
        self.lose()
        self.apply()
        self.apply()
        self.assertEqual(self.bench.seen(), ["one 1.0.0", "two 1.0.0"])
        self.assertEqual(self.bench.kinds(), [("plugins-gone", "")])

    def test_restart(self) -> None:
        """After a restart what ran before runs."""
        self.bench.write("one")
        self.bench.write("two")
        self.bench.start()
        self.leave()
        self.lose()
        self.bench.start()
        self.assertEqual(self.bench.seen(), ["one 1.0.0", "two 1.0.0"])

    def test_switchedOff(self) -> None:
        """A command says that one is not to run; the other stays."""
        self.test_emptied()
        self.call("disable", name="one")
        self.assertEqual(self.bench.seen(), ["two 1.0.0"])
        self.call("disable", name="two")
        self.assertEqual(self.bench.seen(), [])

    def test_otherFolder(self) -> None:
        """A single one stays, too, if the folder is another one."""
        self.bench.write("one")
        self.bench.start()
        shutil.move(self.bench.plugins, self.bench.root / "before")
        self.bench.plugins.mkdir()
        self.apply()
        self.assertEqual(self.bench.seen(), ["one 1.0.0"])

    def test_single(self) -> None:
        """A single one that is deleted is gone."""
        self.bench.write("one")
        self.bench.start()
        self.lose()
        self.apply()
        self.assertEqual(self.bench.seen(), [])

    def test_back(self) -> None:
        """They come back one by one; each that was back may be removed."""
        self.test_emptied()
        self.bench.write("one", says="one again")
        self.apply()
        self.assertEqual(self.bench.seen(), ["one again", "two 1.0.0"])
        shutil.rmtree(self.bench.plugins / "one")
        self.bench.write("two", says="two again")
        self.apply()
        self.assertEqual(self.bench.seen(), ["two again"])
        self.assertEqual(self.bench.failure("two"), "")

    def test_anotherDirectory(self) -> None:
        """Another directory in the file is somebody's wish, once the file is in force."""
        self.bench.write("one")
        self.bench.write("two")
        self.bench.start()
        (self.bench.root / "others").mkdir()
        self.bench.configure(extra="plugins: {directory: others, config: {nobody: true}}\n")
        self.apply()
        self.assertEqual(self.bench.seen(), ["one 1.0.0", "two 1.0.0"])
        self.bench.configure(extra="plugins: {directory: others}\n")
        self.apply()
        self.assertEqual(self.bench.seen(), [])


class InstalledTests(RequiredCase):
    """Plugins that are installed with Python."""

    def test_noFallback(self) -> None:
        """Wherever one is named, no start without it."""
        namespace: dict[str, Any] = {}
        exec(PLUGIN.format(name="door", says="door"), namespace)
        self.bench.dropins = (DropIn({"name": "door", "version": "1.0"}, namespace["PluginMain"]),)
        self.bench.configure(extra="plugins: {directory: plugins, config: {door: true}}\n")
        self.bench.write("other")
        self.bench.start()
        self.leave()
        self.bench.dropins = ()
        self.assertIn('no plugin named "door"', self.refusedStart())

        def fails(config: Any) -> Any:
            raise OSError("no door")

        self.bench.dropins = (DropIn({"name": "door", "version": "1.0"}, fails),)
        self.assertIn("no door", self.refusedStart())


class SwitchedOnTests(RequiredCase):
    """A plugin is switched off, its folder is deleted, and it is switched on again."""

    def setUp(self) -> None:
        super().setUp()
        self.begin()
        self.call("disable", name="auth")
        self.remove("auth")

    def test_stored(self) -> None:
        """The stored version runs."""
        self.call("enable", name="auth")
        self.assertEqual(self.bench.seen(), ["auth 1.0.0", "other 1.0.0"])

    def test_notStored(self) -> None:
        """Where there is none, the command fails: nobody is to think that it runs."""
        shutil.rmtree(self.bench.root / "var" / "versions" / "auth")
        (refusal,) = self.call("enable", name="auth")["refused"]
        self.assertIn("the wanted version cannot be had", refusal["message"])
        self.assertEqual(self.call("plugins", name="auth")[0]["state"], "removed")

    def test_notKept(self) -> None:
        """Also where none is known."""
        self.bench.control.keeper.records = PluginRecords().switched("auth", False)
        self.assertRaises(CommandError, self.call, "enable", name="auth")
