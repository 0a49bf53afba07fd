"""Words that captions are made of, and the little grammar they need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from var_spaces.training.data.index import Concept
from var_spaces.training.data.palette import HUES, INKS

# Other names of the concepts of the easy subset. No name of another concept is among them.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "red apple": ("apple", "ripe apple"), "banana": ("ripe banana",),
    "strawberry": ("ripe strawberry",), "watermelon": ("slice of watermelon",),
    "pineapple": ("ripe pineapple",), "cherries": ("ripe cherries",), "lemon": ("sour lemon",),
    "pizza": ("slice of pizza", "pizza slice"), "hamburger": ("burger", "cheeseburger"),
    "doughnut": ("donut",), "birthday cake": ("cake", "cake with candles"),
    "ice cream": ("bowl of ice cream",), "hot beverage": ("cup of coffee", "cup of tea", "coffee"),
    "beer mug": ("beer", "mug of beer", "pint of beer"), "carrot": ("orange carrot",),
    "mushroom": ("toadstool",), "dog": ("doggo", "pup"), "cat": ("kitty", "kitten", "housecat"),
    "rabbit": ("bunny", "hare"), "panda": ("panda bear",), "lion": ("lion with a mane",),
    "tiger": ("bengal tiger",), "pig": ("hog", "piglet"), "cow": ("dairy cow",),
    "horse": ("pony", "racehorse"), "penguin": ("small penguin",), "owl": ("wise owl",),
    "whale": ("blue whale",), "dolphin": ("jumping dolphin",), "octopus": ("sea octopus",),
    "turtle": ("tortoise",), "snake": ("serpent",), "honeybee": ("bee", "bumblebee"),
    "snail": ("slow snail",), "frog": ("toad",), "rose": ("rose flower",),
    "tulip": ("tulip flower",), "sunflower": ("yellow sunflower",), "cactus": ("desert cactus",),
    "palm tree": ("palm", "coconut palm"), "evergreen tree": ("fir", "pine tree", "fir tree"),
    "sun": ("shining sun",), "snowman": ("man of snow",), "fire": ("flame",),
    "automobile": ("car",), "bus": ("city bus",), "locomotive": ("steam engine", "steam train"),
    "airplane": ("plane", "aeroplane", "jet"), "rocket": ("rocket ship", "spaceship"),
    "bicycle": ("bike",), "sailboat": ("yacht", "sailing boat"), "house": ("home", "cottage"),
    "castle": ("fortress",), "soccer ball": ("football",), "guitar": ("electric guitar",),
    "wrapped gift": ("gift", "present"), "crown": ("royal crown",), "key": ("door key",),
    "balloon": ("party balloon",), "fish": ("swimming fish",), "elephant": ("big elephant",),
    "butterfly": ("pretty butterfly",), "rainbow": ("bright rainbow",),
    "basketball": ("orange basketball",),
}  # fmt: skip

BACKGROUND_WORDS: dict[str, tuple[str, ...]] = {
    "white": ("white", "plain white"), "cream": ("cream", "cream coloured"),
    "sky": ("sky blue", "light blue"), "pink": ("pink", "light pink"), "blue": ("blue",),
    "mint": ("mint", "mint green", "light green"), "green": ("green",),
    "lavender": ("lavender", "light purple"), "purple": ("purple", "violet"),
    "orange": ("orange",), "yellow": ("yellow",), "red": ("red",), "grey": ("grey", "gray"),
    "navy": ("navy", "navy blue", "dark blue"),
}  # fmt: skip

PLACES: dict[str, tuple[str, ...]] = {
    key: (f"at the {key}", f"in the {key} corner", f"in the {other}", f"at the {other}",
          f"on the {other} side", f"in the {key} part")
    for key, other in (
        ("top left", "upper left"), ("top right", "upper right"),
        ("bottom left", "lower left"), ("bottom right", "lower right"),
    )
}  # fmt: skip
PLACES["middle"] = (
    "in the middle", "in the centre", "in the center", "at the centre", "right in the middle",
    "at the center",
)  # fmt: skip

_PLURAL_LABELS = ("cherries", "grapes", "pancakes", "glasses", "sunglasses", "jeans", "skis")
_IRREGULAR = {
    "fish": "fish", "deer": "deer", "squid": "squid", "shrimp": "shrimp", "ox": "oxen",
    "mouse": "mice", "mice": "mice", "wolf": "wolves", "knife": "knives", "leaf": "leaves",
    "snowman": "snowmen", "man": "men", "potato": "potatoes", "tomato": "tomatoes",
    "volcano": "volcanoes", "buffalo": "buffaloes", "sushi": "sushi",
    "spaghetti": "spaghetti", "rice": "rice",
}  # fmt: skip
_LEADING = ("red", "green", "white", "yellow", "blue", "orange")


def article(words: str) -> str:
    """``words`` behind "a" or "an"; a plural name stands alone."""
    if is_plural(words):
        return words
    lowered = words.lower()
    vowel = lowered[0] in "aeiou" and not lowered.startswith(("uni", "ewe", "eu", "one"))
    return f"{'an' if vowel else 'a'} {words}"


def is_plural(words: str) -> bool:
    """Whether a name is a plural as it stands."""
    last = words.split()[-1].lower()
    ends = last.endswith("s") and not last.endswith(("ss", "us", "is", "'s"))
    return ends and (last in _PLURAL_LABELS or last not in _NOT_PLURAL)


_NOT_PLURAL = ("bus", "gas", "lens", "chess", "tennis", "rhinoceros")


def plural(words: str) -> str:
    """More than one of something: the head noun changes, before "of" or "with" if there is one."""
    for joint in (" of ", " with "):
        if joint in words:
            head, _, rest = words.partition(joint)
            return f"{plural(head)}{joint}{rest}"
    if is_plural(words):
        return f"sets of {words}"
    first, _, last = words.rpartition(" ")
    return f"{first} {_plural_noun(last)}".strip()


def _plural_noun(word: str) -> str:
    if word.lower() in _IRREGULAR:
        return _IRREGULAR[word.lower()]
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def without_colour(name: str) -> str:
    """A name without a colour in front: a red apple may be tinted blue."""
    first, _, rest = name.partition(" ")
    return rest if rest and first in (*_LEADING, *HUES, *INKS) else name


def other_names(concepts: Sequence[Concept]) -> dict[str, tuple[str, ...]]:
    """Synonyms of every concept: hand-written ones, else safe tags.

    A tag is safe if no other concept has it, it is no concept's name, and it shares its beginning
    or end with the name ("rhino" for "rhinoceros"). Most tags are not names at all ("bacon" for
    "pig"), and a caption must say nothing but the truth.
    """
    uses = Counter(tag for concept in concepts for tag in set(concept.tags))
    taken = {concept.name.lower() for concept in concepts}
    found = {}
    for concept in concepts:
        tags = (t for t in concept.tags if uses[t] == 1 and t not in taken and t.isalpha())
        found[concept.name] = SYNONYMS.get(concept.name) or tuple(
            tag for tag in tags if _related(tag, concept.name.split()[-1].lower())
        )
    return found


def _related(tag: str, noun: str) -> bool:
    beginning = len(tag) >= 5 and noun.startswith(tag)
    return tag != noun and (beginning or tag.endswith(noun))
