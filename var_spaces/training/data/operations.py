"""What can be done to a scene: one function per operation.

An operation takes what may be drawn, the scene, all scenes in which its words must be clear, and
random choices; it returns the step that it made, or None where it makes no sense.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from var_spaces.training.data.captions import Choices, colour_name, place_of
from var_spaces.training.data.instructions import Speaker
from var_spaces.training.data.palette import BACKGROUNDS, HUES, INKS
from var_spaces.training.data.recipes import Recipe
from var_spaces.training.data.scene import Object, Scene
from var_spaces.training.data.tables import stands_out
from var_spaces.training.data.words import BACKGROUND_WORDS, article

ANCHORS = {
    "top left": (0.25, 0.25),
    "top right": (0.75, 0.25),
    "bottom left": (0.25, 0.75),
    "bottom right": (0.75, 0.75),
    "middle": (0.5, 0.5),
}
MOST = 3  # objects of a scene
_CENTRED = 0.12  # of the side: what may grow or shrink stands no farther from the middle
_SMALL = 0.55  # of the side: what is larger cannot move


@dataclass(frozen=True)
class Step:
    """An operation carried out.

    Attributes:
        words: the instruction.
        scene: what it made.
        about: concept of the thing that it is about, or the new style or colour.
        touched: objects, before and after, and ``"background"``.
    """

    words: str
    scene: Scene
    about: str
    touched: frozenset[Object | str]


@dataclass(frozen=True)
class World:
    """What may be drawn, and how it is spoken of.

    Attributes:
        concepts: by style, the concepts that it may draw.
        ink: styles drawn in one colour.
        recipe: sizes, jitter, backgrounds and colours of scenes.
    """

    concepts: dict[str, tuple[str, ...]]
    ink: frozenset[str]
    recipe: Recipe
    speaker: Speaker

    def at(self, item: Object, place: str, size: float, choose: Choices) -> Object:
        """An object at a place, a little beside its anchor and inside the picture."""
        spread, half = self.recipe.small_jitter, size / 2
        cx, cy = (
            round(min(max(at + choose.between(-spread, spread), half), 1 - half), 4)
            for at in ANCHORS[place]
        )
        return replace(item, cx=cx, cy=cy, size=size)

    def size(self, choose: Choices, *, small: bool) -> float:
        """A size that the recipe has."""
        low, high = self.recipe.small_size if small else self.recipe.size
        return round(choose.between(low, high), 4)

    def coloured(self, item: Object, colour: str) -> Object:
        """An object in another colour."""
        if item.style in self.ink:
            return replace(item, ink="#" + bytes(INKS[colour]).hex())
        return replace(item, tint=colour)

    def colours(self, style: str, scene: Scene) -> list[str]:
        """Colours that a thing of a style can have and still be seen."""
        if style in self.ink:
            return [name for name, ink in INKS.items() if stands_out(ink, scene.colours)]
        return list(HUES)

    def new(self, concept: str, style: str, scene: Scene, choose: Choices) -> Object:
        """A thing in its own colours or, as often as the recipe says, in another."""
        item = Object(concept, style)
        colours = self.colours(style, scene)
        ink = style in self.ink
        own = not ink or stands_out(next(iter(INKS.values())), scene.colours)
        other = choose.chance(self.recipe.inks if ink else self.recipe.tint)
        return self.coloured(item, choose.one(colours)) if colours and (other or not own) else item


Operation = Callable[[World, Scene, Sequence[Scene], Choices], Step | None]


def add(world: World, scene: Scene, seen: Sequence[Scene], choose: Choices) -> Step | None:
    if len(scene.objects) >= MOST:
        return None
    style = scene.objects[0].style if scene.objects else choose.one(list(world.concepts))
    item = world.new(choose.one(world.concepts[style]), style, scene, choose)
    if scene.objects:
        item = _somewhere_free(world, item, world.size(choose, small=True), scene, choose)
    else:
        item = world.at(item, "middle", world.size(choose, small=choose.chance(0.3)), choose)
    if item is None:
        return None
    return _added(world, "add", item, scene, choose, n=world.speaker.a(item, choose))


def duplicate(world: World, scene: Scene, seen: Sequence[Scene], choose: Choices) -> Step | None:
    if not 1 <= len(scene.objects) < MOST:
        return None
    found = _pick(world, scene, seen, choose)
    if found is None:
        return None
    item, words = found
    copy = _somewhere_free(world, item, item.size, scene, choose)
    return copy and _added(world, "duplicate", copy, scene, choose, o=words)


def remove(world: World, scene: Scene, seen: Sequence[Scene], choose: Choices) -> Step | None:
    found = _pick(world, scene, seen, choose)
    return found and _changed(world, "remove", found[0], None, scene, choose, o=found[1])


def swap(world: World, scene: Scene, seen: Sequence[Scene], choose: Choices) -> Step | None:
    found = _pick(world, scene, seen, choose)
    if found is None:
        return None
    item, words = found
    present = {other.concept for other in scene.objects}
    concepts = [name for name in world.concepts[item.style] if name not in present]
    if not concepts:
        return None
    new = world.new(choose.one(concepts), item.style, scene, choose)
    new = replace(new, cx=item.cx, cy=item.cy, size=item.size)
    said = {"o": words, "n": world.speaker.a(new, choose)}
    return _changed(world, "replace", item, new, scene, choose, **said)


def recolour(world: World, scene: Scene, seen: Sequence[Scene], choose: Choices) -> Step | None:
    found = _pick(world, scene, seen, choose)
    if found is None:
        return None
    item, words = found
    colours = [c for c in world.colours(item.style, scene) if c != colour_name(item)]
    if not colours:
        return None
    colour = choose.one(colours)
    new = world.coloured(item, colour)
    return _changed(world, "recolour", item, new, scene, choose, o=words, c=colour)


def restyle(world: World, scene: Scene, seen: Sequence[Scene], choose: Choices) -> Step | None:
    used = {item.style for item in scene.objects}
    plain = used and not used & world.ink
    styles = [
        style
        for style, concepts in world.concepts.items()
        if used
        and style not in used
        and all(item.concept in concepts for item in scene.objects)
        and (plain and not any(item.tint for item in scene.objects)) | (style not in world.ink)
    ]
    if not styles:
        return None
    style = choose.one(styles)
    ink = None
    if style in world.ink:
        colours = world.colours(style, scene)
        ink = "#" + bytes(INKS[colours[0]]).hex() if colours[:1] != [next(iter(INKS))] else None
    new = tuple(replace(item, style=style, ink=ink) for item in scene.objects)
    words = world.speaker.say("restyle", choose, s=style)
    touched = frozenset((*scene.objects, *new))
    return Step(words, Scene(scene.background, new), style, touched)


def background(world: World, scene: Scene, seen: Sequence[Scene], choose: Choices) -> Step | None:
    inks = [item.ink for item in scene.objects if item.style in world.ink]
    inks = [tuple(bytes.fromhex(ink[1:])) if ink else next(iter(INKS.values())) for ink in inks]
    weights = world.recipe.backgrounds
    fitting = [
        name
        for name in BACKGROUNDS
        if weights.get(name, 0) > 0
        and name not in scene.colours
        and all(stands_out(ink, (name, name)) for ink in inks)
    ]
    if not fitting:
        return None
    name = choose.one(fitting)
    said = choose.one(BACKGROUND_WORDS[name])
    words = world.speaker.say("background", choose, c=said, a=article(said))
    return Step(words, Scene(name, scene.objects), name, frozenset({"background"}))


def move(world: World, scene: Scene, seen: Sequence[Scene], choose: Choices) -> Step | None:
    found = _pick(world, scene, seen, choose)
    if found is None:
        return None
    item, words = found
    new = _somewhere_free(world, item, item.size, scene, choose)
    if new is None:
        return None
    said = world.speaker.where(place_of(new) or "middle", choose)
    return _changed(world, "move", item, new, scene, choose, o=words, **said)


def enlarge(world: World, scene: Scene, seen: Sequence[Scene], choose: Choices) -> Step | None:
    return _resized(world, "enlarge", scene, seen, choose)


def shrink(world: World, scene: Scene, seen: Sequence[Scene], choose: Choices) -> Step | None:
    return _resized(world, "shrink", scene, seen, choose)


OPERATIONS: dict[str, Operation] = {
    "add": add,
    "remove": remove,
    "replace": swap,
    "recolour": recolour,
    "restyle": restyle,
    "background": background,
    "move": move,
    "enlarge": enlarge,
    "shrink": shrink,
    "duplicate": duplicate,
}


def _pick(
    world: World, scene: Scene, seen: Sequence[Scene], choose: Choices
) -> tuple[Object, str] | None:
    """One of the objects and the words that say which, if there are any."""
    if not scene.objects:
        return None
    item = choose.one(scene.objects)
    words = world.speaker.the(item, seen, choose)
    return None if words is None else (item, words)


def _added(
    world: World, operation: str, item: Object, scene: Scene, choose: Choices, **said: str
) -> Step:
    said |= world.speaker.where(place_of(item) or "middle", choose)
    words = world.speaker.say(operation, choose, **said)
    made = Scene(scene.background, (*scene.objects, item))
    return Step(words, made, item.concept, frozenset({item}))


def _changed(
    world: World,
    operation: str,
    old: Object,
    new: Object | None,
    scene: Scene,
    choose: Choices,
    **said: str,
) -> Step:
    words = world.speaker.say(operation, choose, **said)
    objects = [new if item is old else item for item in scene.objects]
    made = Scene(scene.background, tuple(item for item in objects if item is not None))
    touched = frozenset(item for item in (old, new) if item is not None)
    return Step(words, made, (new or old).concept, touched)


def _resized(
    world: World, operation: str, scene: Scene, seen: Sequence[Scene], choose: Choices
) -> Step | None:
    """One lonely thing in the middle, large where it was small or the other way round."""
    found = _pick(world, scene, seen, choose)
    if found is None or len(scene.objects) > 1:
        return None
    item, words = found
    small = item.size < _SMALL
    centred = max(abs(item.cx - 0.5), abs(item.cy - 0.5)) <= _CENTRED
    if not centred or small != (operation == "enlarge"):
        return None
    new = world.at(item, "middle", world.size(choose, small=not small), choose)
    return _changed(world, operation, item, new, scene, choose, o=words)


def _somewhere_free(
    world: World, item: Object, size: float, scene: Scene, choose: Choices
) -> Object | None:
    """The object at another place, where it covers none of the scene's objects."""
    if size > _SMALL:
        return None
    places = list(ANCHORS)
    start = choose.one(range(len(places)))
    moved = world.at(item, places[start], size, choose)
    jitter = [moved.cx - ANCHORS[places[start]][0], moved.cy - ANCHORS[places[start]][1]]
    for place in _rotated(places, start):
        x, y = ANCHORS[place]
        moved = replace(
            item,
            cx=round(min(max(x + jitter[0], size / 2), 1 - size / 2), 4),
            cy=round(min(max(y + jitter[1], size / 2), 1 - size / 2), 4),
            size=size,
        )
        if place_of(moved) == place and not any(_overlap(moved, o) for o in scene.objects):
            return moved
    return None


def _rotated(places: Sequence[str], start: int) -> Iterator[str]:
    yield from places[start:]
    yield from places[:start]


def _overlap(one: Object, two: Object) -> bool:
    reach = (one.size + two.size) / 2
    return abs(one.cx - two.cx) < reach and abs(one.cy - two.cy) < reach
