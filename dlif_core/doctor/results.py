"""The trained model, and the results that a study has stored."""

from __future__ import annotations

from collections.abc import Iterator

from dlif_core.doctor.probe import Diagnosis, Surroundings, faulty, sound
from dlif_core.errors import ProductDamagedError


def look_at_model(surroundings: Surroundings) -> Iterator[Diagnosis]:
    """The model of the study, or the one in use: whether it can be loaded, and its digest."""
    from dlif_core.input_function.learned import LearnedOptions, trusted_model
    from dlif_core.networks.bundle.folder import pin_of
    from dlif_core.networks.bundle.model import load_model

    study = surroundings.study
    options = study.input_functions.get("learned") if study else LearnedOptions()
    if not isinstance(options, LearnedOptions):
        return
    folder = trusted_model(options)
    model = load_model(folder)
    pinned = "pinned" if options.digest else "not pinned"
    yield sound("model", f"{model.name}, {len(model.networks)} networks, digest {pin_of(folder)} ({pinned})")


def look_at_products(surroundings: Surroundings) -> Iterator[Diagnosis]:
    """Every stored result against what was committed."""
    if surroundings.study is None:
        return
    from dlif_core.study.plan import open_study_store

    store = open_study_store(surroundings.study)
    names = list(store.products())
    damaged = 0
    for done, name in enumerate(names):
        surroundings.progress(done, len(names))
        try:
            store.verify(name)
        except ProductDamagedError as fault:
            damaged += 1
            yield faulty("results", f"{fault.where}: {fault.message}", fault.hint)
    surroundings.progress(len(names), len(names))
    if not damaged:
        yield sound("results", f"{len(names)} of {len(names)} products are as they were committed")
