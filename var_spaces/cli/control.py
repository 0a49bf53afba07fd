"""``python -m var_spaces control``: the control map of a picture, to look at or to draw along."""

from __future__ import annotations

from collections.abc import Sequence

from var_spaces import methods
from var_spaces.cli.arguments import Parser, add_method_flags
from var_spaces.cli.generate import png_place
from var_spaces.paths import write_file

KIND = "canny"


def run(arguments: Sequence[str]) -> None:
    first = Parser("control", "", add_help=False)
    _add_kind(first)
    kind = vars(first.parse_known_args(arguments)[0]).get("kind", KIND)
    parser = Parser("control", "Take a control map from a picture and write it to a PNG file.")
    _add_kind(parser)
    parser.add_argument("--picture", metavar="FILE", required=True, help="to take the map from")
    parser.add_argument("--out", metavar="FILE.png", required=True, help="where to write")
    add_method_flags(parser, methods.get("control", kind), "")
    options = parser.read(arguments)
    out = png_place(options, "out")
    given = {key.partition(":")[2]: value for key, value in options.items() if ":" in key}
    control = methods.parse("control", {"name": kind, **given})
    write_file(out, _png(control, options["picture"]))
    print(f"{out}: {control.title}")


def _add_kind(parser: Parser) -> None:
    listed = ", ".join(methods.names("control"))
    parser.add_argument("--kind", metavar="NAME", help=f"{listed}; default {KIND}")


def _png(control: methods.Method, path: str) -> bytes:
    import io

    from PIL import Image

    from var_spaces.pictures import as_rgb, read

    buffer = io.BytesIO()
    Image.fromarray(control.extract(as_rgb(read(path)))).save(buffer, "PNG")
    return buffer.getvalue()
