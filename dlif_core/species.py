"""Names of species: whatever a file calls an animal, it is compared by one English name."""

from __future__ import annotations

#: English name of a species by its Latin name.
_LATIN = {
    "mus musculus": "mouse",
    "mus musculus domesticus": "mouse",
    "homo sapiens": "human",
    "homo sapiens sapiens": "human",
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
_PEOPLE = {
    name: "human"
    for one in ("patient", "volunteer", "healthy volunteer", "human volunteer", "human subject", "human patient")
    for name in (one, f"{one}s")
}
#: Strains of a species as `_letters` gives them: such a name may stand alone, or beside the name of the species.
_STRAINS = {
    "mouse": frozenset(
        [
            "c57bl6",
            "c57bl6j",
            "c57bl6n",
            "c57bl6jrj",
            "c57bl6ncrl",
            "balbc",
            "balbcj",
            "balbcnude",
            "balbcanncrl",
            "fvb",
            "fvbn",
            "fvbnj",
            "nsg",
            "nodscid",
            "nmrinude",
            "nmrinunu",
            "cd1nude",
            "athymicnude",
            "swissnude",
        ]
    ),
    "rat": frozenset(["wistar", "wistarhan", "spraguedawley", "longevans", "fischer344", "f344", "rnunude"]),
}
#: Words that more than one species has strains of: they count beside the name of a species alone.
_KINDS: dict[str, frozenset[str]] = {
    "mouse": _STRAINS["mouse"] | {"nude", "scid", "athymic", "nmri", "cd1", "swiss", "wildtype", "transgenic"},
    "rat": _STRAINS["rat"] | {"nude", "athymic", "wildtype", "transgenic"},
}
_ENGLISH = frozenset(_LATIN.values()) | {"macaque", "monkey", "minipig", "hamster"}
_KNOWN = {name: name for name in _ENGLISH} | _PLURALS | _OTHERS | _PEOPLE | _LATIN


def species_of(text: str) -> str:
    """The species that a text names in English or Latin, or by a common strain; "" if it names none that is known.

    Examples
    --------
    >>> species_of("Mus_musculus"), species_of("C57BL/6 mouse"), species_of("mouse of Jane")
    ('mouse', 'mouse', '')
    """
    return _KNOWN.get(_plain(text), "") or _of_strain(_plain(text))


def _of_strain(text: str) -> str:
    """The species of a strain that stands alone, or before or after the name of its species."""
    alone = [species for species, strains in _STRAINS.items() if _letters(text) in strains]
    words = text.replace("(", " ").replace(")", " ").replace(",", " ").split()
    for cut in range(1, len(words)):
        first, last = " ".join(words[:cut]), " ".join(words[cut:])
        for name, strain in ((first, last), (last, first)):
            species = _KNOWN.get(name, "")
            alone += [species] if _letters(strain) in _KINDS.get(species, ()) else []
    return alone[0] if alone else ""


def _letters(text: str) -> str:
    """Letters and digits of a text alone: strains are written with all kinds of signs."""
    return "".join(sign for sign in text if sign.isalnum())


def species_name(text: str) -> str:
    """The name by which a species is compared: that of `species_of`, or the text in lower case if it names none."""
    return species_of(text) or _plain(text)


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace("_", " ").split())
