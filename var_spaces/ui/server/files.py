"""Files inside requests, before gradio looks for them: uploads where files are taken, nowhere else.

Gradio would fetch what an address of another server names, and says of what it does not take
neither what is wrong nor how to give it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gradio.utils import get_upload_folder, is_in_or_equal
from gradio_client.utils import is_http_url_like
from pydantic import ValidationError

NO_FILE = "A file was given where a text or a number is asked for."
NO_UPLOAD = (
    "A picture or a file must be an upload: hand it in first, and give what is answered then."
)


def misplaced(inputs: Sequence[Any], data: Sequence[Any]) -> str | None:
    """Why values for some components are refused; None if they are not.

    Args:
        inputs: components.
        data: what was given for each.
    """
    for block, value in zip(inputs, data, strict=False):
        model = getattr(block, "data_model", None)
        if model is None:
            if any(True for _ in _files(value)):
                return NO_FILE
        elif value is not None and not (
            _fits(model, value) and all(map(_is_upload, _files(value)))
        ):
            return NO_UPLOAD
    return None


def _fits(model: Any, value: Any) -> bool:
    try:
        model.model_validate(value, context={"validate_meta": True})  # as gradio will
    except ValidationError:
        return False
    return True


def _is_upload(file: Mapping[str, Any]) -> bool:
    path = file.get("path")
    try:
        here = path is None or is_in_or_equal(path, get_upload_folder())
    except (TypeError, ValueError):  # no path, or none that there can be
        return False
    return here and not is_http_url_like(path)  # which gradio tells by its beginning


def _files(value: Any) -> Iterator[dict[str, Any]]:
    """As gradio tells: by ``_type`` in ``meta``. Deeper than a request may be is none."""
    stack = [value]
    while stack:
        found = stack.pop()
        if isinstance(found, dict):
            meta = found.get("meta")
            if isinstance(meta, dict) and meta.get("_type") == "gradio.FileData":
                yield found
            stack += found.values()
        elif isinstance(found, list):
            stack += found
