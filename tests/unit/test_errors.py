"""The error tree: messages, exit codes and the way through a pickle."""

import inspect
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlif_core import errors
from dlif_core.errors import DlifError, ExitCode, InputError, MissingInputError, ProductMissingError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, DlifError)]


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(message=st.text(), where=st.text(), hint=st.text())
def test_pickle_keeps_everything(kind: type[DlifError], message: str, where: str, hint: str) -> None:
    error = kind(message, where=where, hint=hint)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.message, again.where, again.hint, str(again)) == (message, where, hint, str(error))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_an_exit_code_that_is_no_success(kind: type[DlifError]) -> None:
    assert kind.exit_code in ExitCode
    assert kind.exit_code is not ExitCode.SUCCESS


def test_the_message_names_place_fault_and_remedy() -> None:
    assert str(InputError("it is empty.", where="a.tsv", hint="Fill it.")) == "a.tsv: it is empty. Fill it."
    assert str(InputError("it is empty.")) == "it is empty."


def test_callers_catch_the_natural_builtin() -> None:
    assert issubclass(InputError, ValueError)
    for kind in (MissingInputError, ProductMissingError):
        assert issubclass(kind, FileNotFoundError)
