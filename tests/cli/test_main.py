"""The ``revproxy`` command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from io import StringIO
from pathlib import Path
from pkgutil import iter_modules
from runpy import run_module

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from revproxy import __version__, cli
from revproxy.cli.commandlist import LISTED, SECTIONS
from revproxy.cli.main import main


class CommandTests(SynchronousTestCase):
    """In an empty folder."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        self.root.mkdir(parents=True)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.root)

    def run_(self, *arguments: str) -> Result:
        """Run a command."""
        result = CliRunner().invoke(main, list(arguments))
        self.flushLoggedErrors()
        return result

    def test_sections(self) -> None:
        """Each command is listed, once, below what it is for."""
        modules = [import_module(found.name) for found in iter_modules(cli.__path__, "revproxy.cli.")
                   if found.name != "revproxy.cli.__main__"]
        there = [command.name for module in modules for command in getattr(module, "COMMANDS", ())]
        self.assertEqual(sorted(LISTED), sorted(there))
        said = self.run_("--help").stdout
        for title, listed in SECTIONS.items():
            section = said.partition(f"\n{title}:\n")[2].partition("\n\n")[0]
            self.assertEqual([line.split()[0] for line in section.splitlines() if line[2] != " "],
                             [each.name for each in listed])  # fmt: skip

    def test_texts(self) -> None:
        """What is listed of a command is what it says of itself, and where it is."""
        for each in LISTED.values():
            commands = import_module(f"revproxy.cli.{each.module}").COMMANDS
            command = next(command for command in commands if command.name == each.name)
            self.assertEqual(each.text, command.get_short_help_str(200), each.name)

    def test_listedQuickly(self) -> None:
        """The list, and the completion of a command's name, import no command."""
        for arguments, more in (("['--help']", {}), ("[]", {
            "_REVPROXY_COMPLETE": "bash_complete", "COMP_WORDS": "revproxy roll", "COMP_CWORD": "1",
        })):  # fmt: skip
            script = (f"import sys; from revproxy.cli.main import main\n"
                      f"try: main({arguments}, prog_name='revproxy')\n"
                      "finally: print(*sys.modules, file=sys.stderr)")  # fmt: skip
            done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True,
                                  env={**os.environ, **more})  # fmt: skip
            self.assertIn("rollout", done.stdout)
            found = {name for name in done.stderr.split() if name.startswith("revproxy.cli.")}
            self.assertEqual(found, {"revproxy.cli.main", "revproxy.cli.commandlist"})

    def test_quick(self) -> None:
        """A command that asks an edge imports neither what reads a configuration nor what an edge is made of."""
        script = ("import sys; from revproxy.cli.main import main\n"
                  "try: main(['status', '--help'])\n"
                  "finally: print(*sys.modules, file=sys.stderr)")
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        self.assertIn("revproxy.cli.statuscommands", done.stderr.split())
        for name in ("revproxy.config.settings", "revproxy.cli.edgecommands", "jsonschema", "twisted.internet.reactor"):
            self.assertNotIn(name, done.stderr.split())

    def test_schema(self) -> None:
        """The schemas, as an editor needs them."""
        self.assertIn("reference", json.loads(self.run_("schema").stdout)["$defs"])
        self.assertEqual(json.loads(self.run_("schema", "plugin").stdout)["title"], "plugin.json")

    def test_begin(self) -> None:
        """init, new-plugin and check are a sound beginning."""
        result = self.run_("init")
        self.assertEqual((result.exit_code, result.output.split(";")[0]), (0, "wrote revproxy.yaml"))
        self.assertEqual(self.run_("new-plugin", "hello").exit_code, 0)
        result = self.run_("check")
        self.assertEqual(result.exit_code, 0)
        self.assertTrue(result.stdout.startswith(
            "revproxy.yaml: ok; 1 listener; 1 upstream; 1 route; plugins: hello 0.1.0"), result.output)

    def test_initElsewhere(self) -> None:
        """init makes the folder it is given."""
        self.assertEqual(self.run_("init", "a/b").exit_code, 0)
        self.assertEqual(self.run_("check", "a/b/revproxy.yaml").exit_code, 0)

    def test_fileOrOption(self) -> None:
        """check takes its file as an argument or by --config, like the other commands."""
        self.run_("init", "a")
        for arguments in (["a/revproxy.yaml"], ["--config", "a/revproxy.yaml"], ["-c", "a/revproxy.yaml"]):
            self.assertEqual(self.run_("check", *arguments).exit_code, 0)
        for command in ("check", "run"):
            result = self.run_(command, "a/revproxy.yaml", "--config", "a/revproxy.yaml")
            self.assertIn("FILE and --config are the same", result.output)

    def test_nothingHere(self) -> None:
        """check without a file, where there is none, says how to get one."""
        result = self.run_("check")
        self.assertEqual(result.exit_code, 1)
        self.assertIn("there is no revproxy.yaml here: name the file (revproxy init writes one)", result.output)

    def test_helpLines(self) -> None:
        """Every command is told in one whole line."""
        for line in self.run_("--help").output.partition("Commands:")[2].splitlines():
            self.assertFalse(line.endswith("..."), line)

    def test_names(self) -> None:
        """A name that will not do is told one that would."""
        self.assertIn('for example "hello-world"', " ".join(self.run_("new-plugin", "Hello_World").output.split()))
        self.assertNotIn("example", self.run_("new-plugin", "_").output)

    def test_neverOverwrites(self) -> None:
        """What is there stays as it is, and that is said."""
        Path("revproxy.yaml").write_text("mine")
        result = self.run_("init")
        self.assertEqual(result.exit_code, 1)
        self.assertIn("revproxy.yaml exists already; it was left as it is", result.output)
        self.assertEqual(Path("revproxy.yaml").read_text(), "mine")
        self.run_("new-plugin", "a")
        Path("plugins/a/plugin.py").write_text("mine")
        result = self.run_("new-plugin", "a")
        self.assertEqual(result.exit_code, 1)
        self.assertIn("plugins/a exists already", result.output)
        self.assertEqual(Path("plugins/a/plugin.py").read_text(), "mine")

    def test_cannotWrite(self) -> None:
        """A folder that cannot be made is an error of one line."""
        Path("file").write_text("")
        for arguments in (("init", "file/x"), ("new-plugin", "a", "--plugins", "file/x")):
            result = self.run_(*arguments)
            self.assertNotEqual(result.exit_code, 0)
            self.assertIn("file", result.output)
            self.assertNotIn("Traceback", result.output)

    def test_newPlugin(self) -> None:
        """The new plugin bears its name, elsewhere if so wished."""
        self.assertEqual(self.run_("new-plugin", "my-own", "--plugins", "x").exit_code, 0)
        self.assertEqual(json.loads(Path("x/my-own/plugin.json").read_text())["name"], "my-own")
        for name in ("My", "a_b", "-a", "../a", "a" * 65):
            self.assertEqual(self.run_("new-plugin", "--", name).exit_code, 2)
        self.assertEqual(sorted(os.listdir("x")), ["my-own"])

    def test_problems(self) -> None:
        """Every problem is one line on standard output with its place; the exit code is 1."""
        Path("r.yaml").write_text("listeners:\n- endpoint: tcp:x\nroutes:\n- {upstream: a}\n")
        result = self.run_("check", "r.yaml")
        self.assertEqual(result.exit_code, 1)
        lines = result.stdout.splitlines()
        self.assertEqual([line.split(": ")[0] for line in lines], ["r.yaml:2:3", "r.yaml:4:4"])
        self.assertEqual(result.stderr, "2 problems\n")

    def test_pluginProblems(self) -> None:
        """Plugins are checked with the file."""
        self.run_("init")
        self.run_("new-plugin", "a")
        with Path("plugins/a/plugin.py").open("a") as file:
            file.write("def\n")
        result = self.run_("check")
        self.assertEqual(result.exit_code, 1)
        self.assertIn("plugins/a/plugin.py:30:4: SyntaxError: ", result.stdout)
        self.assertEqual(result.stderr, "1 problem\n")

    def test_absent(self) -> None:
        """A file that is not there."""
        result = self.run_("check", "none.yaml")
        self.assertEqual(result.exit_code, 1)
        self.assertEqual(result.stdout, "none.yaml: cannot be read: No such file or directory\n")

    def test_noPlugins(self) -> None:
        """A configuration without plugins says so."""
        text = "listeners: [{endpoint: 'tcp:1'}]\nroutes: [{respond: {}}, {path: /a, respond: {}}]\n"
        Path("r.yaml").write_text(text)
        self.assertIn("r.yaml: ok; 1 listener; 0 upstreams; 2 routes; no plugins", self.run_("check", "r.yaml").stdout)

    def test_resourceBesideTheFile(self) -> None:
        """Modules beside the configuration are found, as twistd finds them."""
        Path("beside_cli_test.py").write_text("from twisted.web.resource import Resource\nroot = Resource()\n")
        Path("r.yaml").write_text("listeners: [{endpoint: 'tcp:1'}]\nroutes: [{resource: beside_cli_test.root}]\n")
        self.addCleanup(sys.path.__setitem__, slice(None), list(sys.path))
        self.addCleanup(sys.modules.pop, "beside_cli_test", None)
        self.assertEqual(self.run_("check", "r.yaml").exit_code, 0)

    def test_help(self) -> None:
        """Each command explains itself."""
        for arguments in ((), ("check",), ("init",), ("new-plugin",)):
            result = self.run_(*arguments, "--help")
            self.assertEqual(result.exit_code, 0)
            self.assertIn("Usage:", result.output)
        self.assertIn(__version__, self.run_("--version").output)


class ModuleTests(SynchronousTestCase):
    """``python -m revproxy.cli``."""

    def test_same(self) -> None:
        """It is the same command."""
        self.patch(sys, "argv", ["revproxy", "--version"])
        self.patch(sys, "stdout", said := StringIO())
        end = self.assertRaises(SystemExit, run_module, "revproxy.cli", run_name="__main__")
        self.assertEqual((end.code, __version__ in said.getvalue()), (0, True))
