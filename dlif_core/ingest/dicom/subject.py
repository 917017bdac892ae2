"""Tracer, dose, subject and scanner of a series, in known words; nothing that anybody may have typed is kept."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from dlif_core.ingest.bids.vocabulary import kept_words
from dlif_core.ingest.dicom.headers import Facts, number, text
from dlif_core.radionuclides import HALF_LIVES, nuclide, nuclides_of
from dlif_core.species import species_of

#: Short names by which tracers are usually called, by words that name them; the first that fits.
_TRACERS = (
    ("FDG", r"fdg|fluou?ro-?(?:2-?)?de-?oxy-?(?:d-?)?glucose|fludeoxyglucose|fluorodesoxyglucose"),
    ("FLT", r"flt|fluorothymidine"),
    ("FDOPA", r"f-?dopa|fluoro-?l?-?dopa|fluorodopa"),
    ("FMISO", r"f-?miso|fluoromisonidazole"),
    ("FET", r"fet|fluoro-?ethyl-?tyrosine?"),
    ("NaF", r"naf|sodium fluoride"),
    ("PIB", r"pib|pittsburgh compound b"),
    ("raclopride", r"raclopride"),
    ("methionine", r"methionine"),
    ("choline", r"choline"),
    ("acetate", r"acetate"),
    ("water", r"water|h2o|h2-?15-?o|oxygen-water"),
    ("ammonia", r"ammonia|nh3"),
    ("rubidium chloride", r"rubidium(?: chloride)?|rbcl"),
    ("florbetapir", r"florbetapir|av-?45"),
    ("florbetaben", r"florbetaben"),
    ("flutemetamol", r"flutemetamol"),
    ("flortaucipir", r"flortaucipir|av-?1451|t807"),
    ("MK-6240", r"mk-?6240"),
    ("UCB-J", r"ucb-?j"),
    ("PK11195", r"pk-?11195"),
    ("DPA-714", r"dpa-?714"),
    ("flumazenil", r"flumazenil"),
    ("fallypride", r"fallypride"),
    ("PSMA-11", r"psma-?11"),
    ("PSMA-1007", r"psma-?1007"),
    ("PSMA-617", r"psma-?617"),
    ("DOTATATE", r"dota-?tate|dotatate"),
    ("DOTATOC", r"dota-?toc|edotreotide"),
)
_NAMED = tuple((name, re.compile(rf"(?<![a-z])(?:{words})(?![a-z0-9])", re.IGNORECASE)) for name, words in _TRACERS)


def about_injection(facts: Facts) -> dict[str, Any]:
    """Tracer, nuclide and dose as fields of a sidecar."""
    found: dict[str, Any] = {}
    tracer = tracer_of(text(facts, "RadiopharmaceuticalCodeSequence"), text(facts, "Radiopharmaceutical"))
    half_life, dose = number(facts, "RadionuclideHalfLife"), number(facts, "RadionuclideTotalDose")
    named = _nuclide(facts)
    if tracer:
        found["TracerName"] = tracer
    if named:
        found["TracerRadionuclide"] = named
    if half_life:
        found["RadionuclideHalfLife"] = half_life
    if dose:
        found |= {"InjectedRadioactivity": dose, "InjectedRadioactivityUnits": "Bq"}
    return found


def half_life_of(facts: Facts) -> float | None:
    """Half-life of the nuclide [s]; None where it isn't known."""
    return number(facts, "RadionuclideHalfLife") or HALF_LIVES.get(_nuclide(facts))


def about_subject_and_scanner(facts: Facts) -> dict[str, Any]:
    """Weight and species of the subject, and known words about the scanner, as fields of a sidecar."""
    found: dict[str, Any] = {}
    weight = number(facts, "PatientWeight")
    if weight:
        found |= {"BodyWeight": weight, "BodyWeightUnits": "kg"}
    coded = _meaning("cid7454", text(facts, "PatientSpeciesCodeSequence"))
    species = species_of(text(facts, "PatientSpeciesDescription")) or species_of(coded)
    if species:
        found["Species"] = species
    scanner = {
        "Manufacturer": text(facts, "Manufacturer"),
        "ManufacturersModelName": text(facts, "ManufacturerModelName").replace("_", " "),
        "ReconMethodName": text(facts, "ReconstructionMethod"),
    }
    return found | kept_words(scanner)


def tracer_of(code: str, name: str) -> str:
    """Name of a tracer by its code, or by a text that names one that is known; "" if neither does.

    Examples
    --------
    >>> tracer_of("C-B1031", ""), tracer_of("", "[18F]-FDG"), tracer_of("129512009", ""), tracer_of("", "of Jane Doe")
    ('FDG', 'FDG', 'raclopride', '')
    """
    meaning = _meaning("cid4021", code)
    known = next((short for short, words in _NAMED if words.search(meaning or name)), "")
    return known or meaning


def _nuclide(facts: Facts) -> str:
    """Name of the nuclide: by its code, by the name of the tracer, or by the only nuclide of the half-life."""
    code = text(facts, "RadionuclideCodeSequence")
    tracer = _meaning("cid4021", text(facts, "RadiopharmaceuticalCodeSequence"))
    for words in (_meaning("cid4020", code), code, tracer, text(facts, "Radiopharmaceutical")):
        if nuclide(words) in HALF_LIVES:
            return nuclide(words)
    alike = nuclides_of(number(facts, "RadionuclideHalfLife") or 0.0)
    return alike[0] if len(alike) == 1 else ""


@cache
def _meaning(group: str, code: str) -> str:
    """Meaning of a code in a context group by the standard, also of a code of SNOMED RT; "" for no such code."""
    concepts = list(getattr(codes, group).concepts.values())
    found = [one for one in concepts if code and (one.value == code or one == Code(code, "SRT", ""))]
    return str(found[0].meaning) if found else ""
