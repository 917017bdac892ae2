"""The commands as a person meets them: help, version, messages, exit codes, what is on which stream."""

import json
import signal
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from dlif_core.errors import ExitCode
from flows.cli import VERBS, app, main
from tests.unit.study.test_checking import add_scan

COMMANDS = [
    "init",
    "simulate",
    "check",
    "plan",
    "run",
    "status",
    "report",
    "explain",
    "evaluate",
    "models",
    "train",
    "model",
]


@pytest.fixture
def dlif(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Run a command as the program does, in an empty folder; returns exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["dlif", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return run


def every_command() -> list[tuple[str, ...]]:
    """All commands, those of groups too."""
    found: list[tuple[str, ...]] = []
    for verb in [verb for verbs in VERBS.values() for verb in verbs]:
        if isinstance(verb, typer.Typer):
            assert verb.info.name
            inner = [command.name or command.callback.__name__ for command in verb.registered_commands]
            found += [(verb.info.name,), *((verb.info.name, name) for name in inner)]
        else:
            found.append((verb.__name__,))
    return found


def parameters(command: tuple[str, ...]):
    """Arguments and options of a command."""
    shown = typer.main.get_command(app)
    for name in command:
        shown = shown.commands[name]
    return shown.params


def test_help_lists_commands_in_groups(dlif) -> None:
    code, shown, _ = dlif("--help")
    assert code == 0
    places = [shown.index(f" {group} ─") for group in ("Study", "Input functions", "Models", "Installation")]
    assert places == sorted(places)
    assert all(f"│ {command} " in shown for command in [*COMMANDS, "doctor"])
    assert "--install-completion" in shown
    assert "130 interrupted" in " ".join(shown.split())


@pytest.mark.parametrize("command", every_command(), ids=" ".join)
def test_every_command_and_option_is_explained(dlif, command: tuple[str, ...]) -> None:
    code, shown, _ = dlif(*command, "--help")
    assert code == 0
    assert f"Usage: dlif {' '.join(command)}" in shown
    unexplained = [parameter.name for parameter in parameters(command) if not getattr(parameter, "help", "")]
    assert unexplained == []


def test_version(dlif) -> None:
    from importlib.metadata import version

    assert dlif("--version") == (0, f"dlif {version('dlif')}\n", "")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("stauts", "study.yaml"), "Did you mean 'status'"),
        (("run", "--shrad", "1/2", "study.yaml"), "--shard"),
        (("plan",), "Missing argument"),
        (("plan", "study.yaml"), "study.yaml: there is no such study file. `dlif init` writes one."),
        (("models", "patlk"), "Did you mean 'patlak'?"),
        (("model", "show", "no-such-model"), "no-such-model"),
        (("run", "study.yaml", "--shard", "5/4"), "--shard"),
        (("run", "study.yaml", "--shard", "1/4", "--cluster", "tcp://host:8786"), "Leave out --cluster."),
        (("train", "out", "--study", "study.yaml"), "Give --from and --study."),
        (("train", "out", "--from", "mouse", "--study", "study.yaml", "--scans", "5"), "--scans can't be given"),
        (("init", "missing/study.yaml"), "the folder of the study file does not exist"),
    ],
)
def test_wrong_usage_is_a_clear_message_on_standard_error(dlif, arguments: tuple[str, ...], expected: str) -> None:
    code, shown, said = dlif(*arguments)
    assert code == ExitCode.CONFIGURATION
    assert shown == ""
    assert expected in said


def test_a_study_file_is_not_overwritten(dlif, tmp_path: Path) -> None:
    assert dlif("init")[0] == 0
    (tmp_path / "study.yaml").write_text("mine")
    code, _, said = dlif("init")
    assert code == ExitCode.CONFIGURATION
    assert "exists already" in said
    assert (tmp_path / "study.yaml").read_text() == "mine"


def test_a_study_without_reports_says_so(dlif) -> None:
    dlif("init")
    code, shown, said = dlif("report", "study.yaml")
    assert (code, shown) == (ExitCode.STORE, "")
    assert "there is no report yet. `dlif run study.yaml` makes the reports." in said


def test_a_file_that_cannot_be_written_is_named_without_a_traceback(dlif, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    dlif("init", "--output", "file/results")
    code, _, said = dlif("plan", "study.yaml")
    assert code == ExitCode.CONFIGURATION
    assert said.startswith("Error: ")
    assert "Not a directory" in said


def test_check_says_what_is_wrong_what_is_lost_and_how_to_accept_it(dlif, tmp_path: Path) -> None:
    add_scan(tmp_path / "bids", "sub-01")
    add_scan(tmp_path / "bids", "sub-02", factor=1 / 60)
    code, shown, _ = dlif("check", "bids", "--workers", "1")
    assert code == ExitCode.PARTIAL
    text = " ".join(shown.replace("│", " ").split())
    assert "doubtful" in text
    assert "scan-too-short" in text
    assert "seconds, not in minutes." in text
    assert "✗ The scan is excluded." in text
    assert "Refused or doubtful: 1." in text


def test_check_gives_all_findings_as_json(dlif, tmp_path: Path) -> None:
    add_scan(tmp_path / "bids", "sub-01", factor=1 / 60)
    add_scan(tmp_path / "bids", "sub-02", factor=1 / 60)
    code, shown, _ = dlif("check", "bids", "--json", "--workers", "1")
    scans = json.loads(shown)
    assert code == ExitCode.NOTHING_SUCCEEDED
    assert [(scan["scan"], scan["usable"]) for scan in scans] == [("sub-01", False), ("sub-02", False)]
    finding = next(one for one in scans[0]["findings"] if one["check"] == "scan-too-short")
    assert finding["lost"] == "the scan is excluded"
    assert "accept: [scan-too-short]" in finding["remedy"]


def test_explain_takes_the_model_of_the_study(dlif, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(
        "{name: a, data: ., output: out, input_functions: {learned: {model: my-own-model}}, kinetics: [{model: 1tcm}]}"
    )
    code, _, said = dlif("explain", "study.yaml", "sub-01")
    assert code == ExitCode.CONFIGURATION
    assert "my-own-model" in said


def test_explain_names_the_scans_that_there_are(dlif, tmp_path: Path) -> None:
    dlif("init")
    code, _, said = dlif("explain", "study.yaml", "sub-09")
    assert code == ExitCode.INPUT
    assert "the scan 'sub-09' has not been ingested" in said


@pytest.mark.parametrize(
    "arguments", [("models",), ("models", "srtm"), ("model", "list"), ("model", "show")], ids=" ".join
)
def test_json_is_all_that_standard_output_holds(dlif, arguments: tuple[str, ...]) -> None:
    code, shown, said = dlif(*arguments, "--json")
    assert (code, said) == (0, "")
    assert json.loads(shown)


def test_an_interrupt_is_no_traceback(dlif, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("dlif_core.phantom.write_cohort", interrupted)
    # a shell that starts tests in the background has them ignore interrupts
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code, _, said = dlif("simulate", "bids")
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 130
    assert "Traceback" not in said


def test_simulation_reports_progress_on_standard_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def written(_folder: Path, mice: int, *, progress, **_: object) -> None:
        for _mouse in range(mice):
            progress()

    monkeypatch.setattr("dlif_core.phantom.write_cohort", written)
    done = CliRunner().invoke(app, ["simulate", str(tmp_path), "--mice", "3"])
    assert done.exit_code == 0
    assert done.stdout.startswith("3 mice are in")
    assert "3/3" in done.stderr


@pytest.mark.parametrize(
    ("given", "population", "voxel", "said"),
    [
        ((), None, 1.0, "2 mice are in"),
        (("--species", "human"), ("human", "human FDG"), 4.0, "2 humans are in"),
        (("--tracer", "fdopa"), ("mouse", "FDOPA"), 1.0, "2 mice are in"),
        (("--species", "human", "--tracer", "PSMA", "--voxel-size", "5"), ("human", "PSMA"), 5.0, "2 humans are in"),
    ],
)
def test_humans_and_other_tracers_are_simulated(monkeypatch, tmp_path: Path, given, population, voxel, said) -> None:
    seen = {}
    monkeypatch.setattr("dlif_core.phantom.write_cohort", lambda *_, **options: seen.update(options))
    done = CliRunner().invoke(app, ["simulate", str(tmp_path), "--mice", "2", *given])
    assert done.exit_code == 0
    assert done.stdout.startswith(said)
    drawn = seen["population"]
    assert (drawn and (drawn.species, drawn.tracer)) == population
    assert seen["voxel_size"] == voxel


@pytest.mark.parametrize("given", [("--species", "rat"), ("--tracer", "FET")])
def test_what_can_not_be_simulated_is_refused_before_anything_is_written(dlif, tmp_path: Path, given) -> None:
    code, out, err = dlif("simulate", str(tmp_path / "bids"), *given)
    assert code == ExitCode.CONFIGURATION
    assert given[1] in out + err
    assert not (tmp_path / "bids").exists()


def test_the_secret_address_of_alarms_is_no_option_that_others_could_read(dlif) -> None:
    assert "DLIF_ALARM_WEBHOOK" in dlif("deploy", "prefect", "--help")[1]
    code, out, err = dlif("deploy", "prefect", "study.yaml", "--webhook", "http://127.0.0.1/secret")
    assert code == ExitCode.CONFIGURATION
    assert "No such option" in out + err
