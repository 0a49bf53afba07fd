"""Bodies of requests for whoever looks at them before the server does."""

from __future__ import annotations

from starlette.types import Message, Receive


def replayed(message: Message, receive: Receive) -> Receive:
    """``message`` first, then what follows: whether the other side has left."""
    told = False

    async def replay() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return message

    return replay


def whole(body: bytes) -> Message:
    """A request body as the one message that brings it."""
    return {"type": "http.request", "body": body, "more_body": False}
