"""Text encoders: prompts to packed features. Listing them imports no torch.

Features are kept by prompt, so that a prompt is read once however many images, scales or tabs use
it. Loaded encoders belong to whoever runs them: the zoo shares them among all runs.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any, ClassVar

from var_spaces.conditioning.prompts import clean_prompt
from var_spaces.methods import Method

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from var_spaces.backbones.text_features import TextFeatures
    from var_spaces.conditioning.packed_encoder import PackedEncoder

KEPT_PROMPTS, KEPT_BYTES = 512, 256 << 20  # those of a long prompt may take some megabytes

_lock = RLock()
_features: OrderedDict[tuple[TextEncoder, str], Tensor] = OrderedDict()


class TextEncoder(Method):
    """Base class of text encoders; fields say which weights and how many tokens."""

    kind: ClassVar[str] = "text_encoder"
    # one token, in the spelling of prompts, that stands for a word which the encoder does not know
    placeholder: ClassVar[str]

    @property
    @abstractmethod
    def weights(self) -> str:
        """What the weights are called; encoders of the same weights share them in memory."""

    @abstractmethod
    def build(self) -> Any:
        """The network with fresh weights on the default device, to know its size.

        Raises:
            VarSpacesError: if its sizes are not known.
        """

    def dtype(self, device: torch.device | str) -> torch.dtype:
        """Type of the weights in memory."""
        import torch

        return torch.float32

    @abstractmethod
    def load(self, device: torch.device | str) -> PackedEncoder:
        """Read the weights.

        Raises:
            VarSpacesError: if they are missing.
        """

    def notes(self, prompts: Sequence[str], loaded: PackedEncoder) -> tuple[str, ...]:
        """A sentence for whoever wrote the prompts about all that is not read of them."""
        found = []
        for prompt in dict.fromkeys(map(clean_prompt, prompts)):
            rest, words = loaded.unread(prompt, self.max_length)
            if rest:
                found.append(
                    f"The prompt was cut after {self.max_length} tokens; not read: {_some([rest])}."
                )
            if words:
                found.append(f"The text encoder does not know {_some(words)}.")
        return tuple(found)

    def encode(
        self,
        prompts: Sequence[str],
        device: torch.device | str = "cpu",
        loaded: PackedEncoder | None = None,
    ) -> TextFeatures:
        """Features of prompts, packed, float32 on ``device``.

        Any text is taken: control characters are dropped, unknown signs become what the tokenizer
        makes of them, long prompts are cut, and the empty prompt has the encoder's special tokens.

        Args:
            loaded: the encoder; None loads it for the prompts that are new, and drops it again.
        """
        from var_spaces.backbones.text_features import TextFeatures

        prompts = [clean_prompt(prompt) for prompt in prompts]
        with _lock:
            new = [p for p in dict.fromkeys(prompts) if (self, p) not in _features]
            found = {p: _features[self, p] for p in prompts if p not in new}
            reader = loaded or (self.load(device) if new else None)
            for prompt in new:  # alone, so that its features depend on nothing else
                found[prompt] = reader([prompt], self.max_length)[0].cpu()
            for prompt in dict.fromkeys(prompts):
                _features[self, prompt] = found[prompt]
                _features.move_to_end((self, prompt))
            while len(_features) > KEPT_PROMPTS or _kept_bytes() > KEPT_BYTES:
                _features.popitem(last=False)
        return TextFeatures.of([found[prompt] for prompt in prompts]).to(device)


def _kept_bytes() -> int:
    return sum(features.nbytes for features in _features.values())


def _some(parts: Sequence[str], most: int = 8, length: int = 60) -> str:
    """Some words in quotation marks, each cut to a readable length."""
    shown = [f"'{p if len(p) <= length else p[: length - 3] + '...'}'" for p in parts[:most]]
    more = [f"and {len(parts) - most} more"] if len(parts) > most else []
    return ", ".join(shown + more)


def forget() -> None:
    """Drop all remembered prompts."""
    with _lock:
        _features.clear()
