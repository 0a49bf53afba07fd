"""Where results and requests lie: a local folder or a Hub dataset with the same layout."""

from leaderboard.store.backend import Backend, Moved, OutOfReach, Unwritable
from leaderboard.store.places import open_store, reading_stores
from leaderboard.store.store import Store

__all__ = ["Backend", "Moved", "OutOfReach", "Store", "Unwritable", "open_store", "reading_stores"]
