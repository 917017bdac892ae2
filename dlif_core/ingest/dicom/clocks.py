"""Dates and clock times of DICOM, as seconds on one axis.

A moment is a number of seconds since the beginning of the calendar; one without a date lies in its first day. Moments
are compared by `elapsed`, which goes across midnight where a date is missing.
"""

from __future__ import annotations

import re
from datetime import date

from dlif_core.ingest.bids.fields import between
from dlif_core.ingest.dicom.headers import Facts, text

DAY = 86400.0
_DATE = re.compile(r"(\d{4})[.\-]?(\d\d)[.\-]?(\d\d)")
_TIME = re.compile(r"(\d\d):?(\d\d)?:?(\d\d(?:\.\d*)?)?")
_MOMENT = re.compile(r"(\d{8})(\d{2,6}(?:\.\d*)?)([+-]\d{4})?")
_ZONE = re.compile(r"([+-])(\d\d)(\d\d)")


def moment(day: str, time: str) -> float | None:
    """The moment of a date (DA) and a time (TM); None without a time.

    Examples
    --------
    >>> moment("00010102", "0000"), moment("", "100005.5"), moment("", "10:00:05"), moment("20240506", "")
    (172800.0, 36005.5, 36005.0, None)
    """
    clock = _clock(time)
    return None if clock is None else _day(day) * DAY + clock


def date_time(stated: str, zone: str = "") -> float | None:
    """The moment of a date with time (DT) in a time zone; None if it is no such value or has no time.

    Parameters
    ----------
    stated
        Such as ``20240506100005.5`` or ``20240506100005+0200``.
    zone
        Time zone of the file, such as ``+0100``; a value of another zone is told in this one.

    Examples
    --------
    >>> date_time("00010102000010"), date_time("00010102010010+0200", "+0100"), date_time("2024")
    (172810.0, 172810.0, None)
    """
    found = _MOMENT.fullmatch(stated)
    if found is None:
        return None
    seconds = moment(found[1], found[2])
    if seconds is None:
        return None
    there, here = _offset(found[3] or ""), _offset(zone)
    return seconds if there is None or here is None else seconds - there + here


def elapsed(earlier: float, later: float) -> float:
    """Seconds from one moment to another; across midnight if that is nearer and one of them has no date."""
    return later - earlier if min(earlier, later) >= DAY else between(earlier % DAY, later % DAY)


def clock_of(seconds: float) -> str:
    """Clock time of a moment.

    Examples
    --------
    >>> clock_of(36005.25), clock_of(36005.0), clock_of(86399.9999)
    ('10:00:05.25', '10:00:05', '00:00:00')
    """
    whole = round(seconds % DAY * 1000) % round(DAY * 1000)
    minutes, milliseconds = divmod(whole, 60000)
    shown = f"{milliseconds / 1000:06.3f}".rstrip("0").rstrip(".")
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{shown}"


def acquired(facts: Facts) -> float | None:
    """Moment at which the acquisition of an image began; None if it isn't stated."""
    zone = text(facts, "TimezoneOffsetFromUTC")
    for keyword in ("FrameAcquisitionDateTime", "AcquisitionDateTime"):
        stated = date_time(text(facts, keyword), zone)
        if stated is not None and (keyword.startswith("Frame") or not text(facts, "AcquisitionTime")):
            return stated
    return moment(text(facts, "AcquisitionDate") or text(facts, "SeriesDate"), text(facts, "AcquisitionTime"))


def series_began(facts: Facts) -> float | None:
    """Moment that the series states as its time; None if it states none."""
    return moment(text(facts, "SeriesDate"), text(facts, "SeriesTime"))


def injected(facts: Facts) -> float | None:
    """Moment at which the injection began; None if it isn't stated."""
    zone = text(facts, "TimezoneOffsetFromUTC")
    stated = date_time(text(facts, "RadiopharmaceuticalStartDateTime"), zone)
    if stated is None:
        stated = moment("", text(facts, "RadiopharmaceuticalStartTime"))
    return date_time(text(facts, "GeInjectionDateTime"), zone) if stated is None else stated


def _clock(time: str) -> float | None:
    found = _TIME.fullmatch(time.strip())
    if found is None:
        return None
    hours, minutes, seconds = int(found[1]), int(found[2] or 0), float(found[3] or 0)
    return 3600.0 * hours + 60.0 * minutes + seconds if hours < 24 and minutes < 60 and seconds < 61 else None


def _day(stated: str) -> int:
    """Number of a day of the calendar; zero for none."""
    found = _DATE.fullmatch(stated.strip())
    try:
        return date(int(found[1]), int(found[2]), int(found[3])).toordinal() if found else 0
    except ValueError:
        return 0


def _offset(zone: str) -> float | None:
    found = _ZONE.fullmatch(zone.strip())
    return None if found is None else float(f"{found[1]}1") * (3600.0 * int(found[2]) + 60.0 * int(found[3]))
