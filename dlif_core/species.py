"""Names of species: whatever a file calls an animal, it is compared by one English name."""

from __future__ import annotations

#: English name of a species by its Latin name.
_LATIN = {
    "mus musculus": "mouse",
    "homo sapiens": "human",
    "rattus norvegicus": "rat",
    "sus scrofa": "pig",
    "sus scrofa domesticus": "pig",
    "macaca mulatta": "rhesus macaque",
    "macaca fascicularis": "cynomolgus macaque",
    "callithrix jacchus": "marmoset",
    "papio anubis": "baboon",
    "papio hamadryas": "baboon",
    "chlorocebus sabaeus": "vervet",
    "oryctolagus cuniculus": "rabbit",
    "canis familiaris": "dog",
    "canis lupus familiaris": "dog",
    "felis catus": "cat",
    "ovis aries": "sheep",
    "capra hircus": "goat",
    "cavia porcellus": "guinea pig",
    "mesocricetus auratus": "hamster",
    "danio rerio": "zebrafish",
}

_PLURALS = {"mice": "mouse", "rats": "rat", "humans": "human", "pigs": "pig", "rabbits": "rabbit", "dogs": "dog"}
_OTHERS = {"house mouse": "mouse", "laboratory mouse": "mouse", "norway rat": "rat", "brown rat": "rat"}
_ENGLISH = frozenset(_LATIN.values()) | {"macaque", "monkey", "minipig", "hamster"}
_KNOWN = {name: name for name in _ENGLISH} | _PLURALS | _OTHERS | _LATIN


def species_of(text: str) -> str:
    """The species that a text names in English or Latin, such as ``mouse``; "" if it names none that is known.

    Examples
    --------
    >>> species_of("Mus_musculus"), species_of("house mouse"), species_of("mouse of Jane")
    ('mouse', 'mouse', '')
    """
    return _KNOWN.get(_plain(text), "")


def species_name(text: str) -> str:
    """The name by which a species is compared: that of `species_of`, or the text in lower case if it names none."""
    return species_of(text) or _plain(text)


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace("_", " ").split())
