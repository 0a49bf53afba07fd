"""One control of a form as data: what it is called, what it stands for, what it may hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from var_spaces.methods import Option

Role = Literal["model", "task", "input", "run", "methods"]
ROLES: tuple[Role, ...] = ("model", "task", "input", "run", "methods")


@dataclass(frozen=True)
class Field:
    """One control of a form.

    Attributes:
        key: unique in the form: ``model``, ``task``, ``inputs.class``, ``seed``, ``methods`` (one
            of each kind with its parameters, see ``values.py``).
        role: what it stands for.
        option: type, default, range and help.
        tasks: that have this input.
        mask: input that is drawn over this picture, if there is one.
        mask_tasks: tasks that have the mask.
    """

    key: str
    role: Role
    option: Option
    tasks: tuple[str, ...] = ()
    mask: str = ""
    mask_tasks: tuple[str, ...] = ()

    @property
    def is_picture(self) -> bool:
        """Whether it holds a picture, which travels beside the spec."""
        return self.option.content == "picture"
