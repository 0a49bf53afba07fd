"""The example of docs/architecture.md is a working method, from one file."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from var_spaces.cli.arguments import Parser
from var_spaces.codecs import parse_json, read_png_text
from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec

COMMAND = re.compile(r"^python -m (var_spaces|leaderboard) ([a-z]+)([^#\n]*)", re.MULTILINE)
ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_example_method_runs(tmp_path, use_tiny_models):
    example = re.search(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]
    (tmp_path / "constant.py").write_text(example)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import constant\n"
        "from var_spaces.cli import main\n"
        "make = ['generate', '--model', 'tiny-var', '--out', sys.argv[2]]\n"
        "make += ['--guidance', 'constant']\n"
        "assert main(['methods', 'guidance']) == 0\n"
        "assert main([*make, '--guidance-scale', '21']) == 2\n"
        "assert main([*make, '--guidance-scale', '2']) == 0\n"
    )
    picture = tmp_path / "a.png"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(picture)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Constant guidance" in done.stdout
    assert "scale = 21.0 is out of range: allowed is 0 to 20" in done.stderr
    # The method is unknown in this process, so the text is read without RunSpec.
    written = parse_json(read_png_text(picture), "The run spec")
    assert written["guidance"] == {"name": "constant", "scale": 2.0}


def test_every_file_the_page_names_exists():
    for name in re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)", PAGE):
        if name != "var_spaces/decoding/guidance/constant.py":
            places = (ROOT / name, ROOT / "var_spaces" / name)
            assert any(place.is_file() for place in places), name


def test_every_kind_of_method_is_explained():
    from var_spaces import methods

    for kind in RunSpec.model_fields.keys() & set(methods.kinds()):
        assert re.search(rf"^\| {kind} \|", PAGE, re.MULTILINE), kind


class Read(Exception):
    """All flags of a command were understood."""


def test_every_command_in_the_pages_is_understood(monkeypatch):
    """No flag is missing or unknown; models of one's own and files may not be here."""
    read = Parser.read

    def stop(self, arguments):
        read(self, arguments)
        raise Read

    monkeypatch.setattr(Parser, "read", stop)
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    found = {
        command.groups()
        for page in pages
        for block in re.findall(r"^```bash\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
        for command in COMMAND.finditer(block.replace("\\\n", " "))
    }
    assert len(found) > 40
    refused = []
    for program, command, flags in sorted(found):
        try:
            import_module(f"{program}.cli.{command}").run(shlex.split(flags))
        except Read:
            continue
        except VarSpacesError as error:
            if "--help)" in str(error):
                refused.append(f"{program} {command}{flags}: {error}")
    assert not refused, "\n".join(refused)
