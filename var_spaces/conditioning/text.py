"""Text encoders: prompts to packed features. Listing them imports no torch.

Loaded encoders are shared by all runs of the process, and features are kept by prompt, so that a
prompt is read once however many images, scales or tabs use it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from threading import RLock
from typing import TYPE_CHECKING, ClassVar

from var_spaces.conditioning.prompts import clean_prompt
from var_spaces.methods import Method

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from var_spaces.backbones.text_features import TextFeatures
    from var_spaces.conditioning.packed_encoder import PackedEncoder

KEPT_PROMPTS = 512

_lock = RLock()
_encoders: dict[tuple[TextEncoder, str], PackedEncoder] = {}
_features: OrderedDict[tuple[TextEncoder, str], Tensor] = OrderedDict()


class TextEncoder(Method):
    """Base class of text encoders; fields say which weights and how many tokens."""

    kind: ClassVar[str] = "text_encoder"

    @abstractmethod
    def load(self, device: torch.device | str) -> PackedEncoder:
        """Read the weights.

        Raises:
            VarSpacesError: if they are missing.
        """

    def encode(self, prompts: Sequence[str], device: torch.device | str = "cpu") -> TextFeatures:
        """Features of prompts, packed, float32 on ``device``.

        Any text is taken: control characters are dropped, unknown signs become what the tokenizer
        makes of them, long prompts are cut, and the empty prompt has the encoder's special tokens.
        """
        from var_spaces.backbones.text_features import TextFeatures

        prompts = [clean_prompt(prompt) for prompt in prompts]
        with _lock:
            new = [p for p in dict.fromkeys(prompts) if (self, p) not in _features]
            found = {p: _features[self, p] for p in prompts if p not in new}
            for prompt in new:  # alone, so that its features depend on nothing else
                found[prompt] = self._encoder(device)([prompt])[0].cpu()
            for prompt in dict.fromkeys(prompts):
                _features[self, prompt] = found[prompt]
                _features.move_to_end((self, prompt))
            while len(_features) > KEPT_PROMPTS:
                _features.popitem(last=False)
        return TextFeatures.of([found[prompt] for prompt in prompts]).to(device)

    def _encoder(self, device: torch.device | str) -> PackedEncoder:
        """The loaded encoder; called under the lock, so it is loaded once."""
        key = (self, str(device))
        if key not in _encoders:
            _encoders[key] = self.load(device)
        return _encoders[key]


def forget() -> None:
    """Drop all loaded encoders and remembered prompts."""
    with _lock:
        _encoders.clear()
        _features.clear()
