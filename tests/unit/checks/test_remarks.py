"""What a table of scans says of a scan's findings: short, by weight, and nothing where there is nothing to say."""

from dlif_core.checks import CHECKS, Finding, Level, Part, judged, remarks


def found(check: str, message: str = "it is so.", where: str = "a.json") -> Finding:
    return CHECKS[check].found(message, where=where)


def test_a_scan_without_findings_has_no_remarks() -> None:
    assert remarks(()) == ()


def test_a_fallback_comes_first_and_is_said_once_for_all_analyses() -> None:
    message = "arterial was unavailable: there is no blood; population was used."
    passed = [found("first-input-function", message, where=f"regions {name}") for name in ("patlak", "1tcm")]
    assert remarks([found("empty-frames"), *passed]) == (
        message.rstrip("."),
        "1 repaired (empty-frames)",
    )


def test_what_is_withheld_is_named_with_the_check_that_rules_it_out() -> None:
    findings = [found("dose-range"), found("uptake-range"), found("parent-fraction")]
    assert remarks(findings) == ("dose is not used (dose-range, uptake-range)", "blood is not used (parent-fraction)")


def test_accepted_doubts_are_counted_and_withhold_nothing() -> None:
    doubts = judged([found("dose-range"), found("scan-too-short")], ["dose-range", "scan-too-short"])
    assert remarks(doubts) == ("2 doubts accepted (dose-range, scan-too-short)",)


def test_a_check_that_found_several_things_is_named_once() -> None:
    gaps = [found("frame-gaps", f"there is a gap after frame {frame}.") for frame in (3, 5)]
    assert remarks(gaps) == ("2 assumed (frame-gaps)",)


def test_an_implausible_result_is_told_with_its_analysis_and_value() -> None:
    finding = found("parameter-range", "Ki is beyond 1: brain (3.68).", where="regions patlak")
    assert remarks([finding]) == ("not plausible, regions patlak: Ki is beyond 1: brain (3.68)",)
    assert (finding.level, finding.part) == (Level.DOUBTFUL, Part.RESULT)
    assert "accept" not in finding.advice
