"""Checks that only a reader can make: what a scan's files leave out, and what was taken in its place."""

from __future__ import annotations

from dlif_core.checks.check import Check, Finding, Level, Part
from dlif_core.checks.verdict import RefusedScanError
from dlif_core.errors import (
    BloodError,
    CurveError,
    DlifError,
    FrameTimingError,
    ImageError,
    MissingInputError,
    UnitError,
)

MISSING_FILE = Check(
    "missing-file", Level.REFUSED, Part.SCAN, "Every file that a scan needs is there and may be read.", "Restore it."
)
UNREADABLE = Check("unreadable", Level.REFUSED, Part.SCAN, "Every file is whole and in its format.", "Correct it.")
UNITS = Check("units", Level.REFUSED, Part.SCAN, "Units are stated and known.", "State the unit.")
FRAME_TIMES = Check(
    "frame-times",
    Level.REFUSED,
    Part.SCAN,
    "Frames are in order, don't overlap and have one start and one duration each; the image has as many.",
    "Correct the frame times.",
)
IMAGE_FILE = Check(
    "image-file",
    Level.REFUSED,
    Part.SCAN,
    "The image is complete, has four dimensions and holds finite numbers.",
    "Convert or fetch it again.",
)
IMAGE_HEADER = Check(
    "image-header",
    Level.ASSUMED,
    Part.SCAN,
    "The header of the image says where its voxels lie, in mm, in one way.",
    "Correct the header of the image.",
)
REGION_CURVES = Check(
    "region-curves",
    Level.REFUSED,
    Part.SCAN,
    "Tables of region curves hold finite numbers for the frames of the scan.",
    "Extract the region curves again.",
)
BLOOD_FILE = Check(
    "blood-file",
    Level.REFUSED,
    Part.BLOOD,
    "Tables of blood hold times, activities or parent fractions in stated units.",
    "Correct the table or its sidecar.",
)
NOT_GIVEN = Check(
    "not-given",
    Level.ASSUMED,
    Part.SCAN,
    "Times, decay correction and names that describe a scan are given.",
    "Add the field, so that nothing has to be assumed.",
)
TIME_AXIS = Check(
    "time-axis",
    Level.ASSUMED,
    Part.SCAN,
    "Injection, scan start and first frame are at time zero.",
    "Make sure that the times are meant as they are written.",
)
FRAME_GAPS = Check(
    "frame-gaps",
    Level.ASSUMED,
    Part.SCAN,
    "Frames follow each other without gaps.",
    "Make sure that nothing was recorded between the frames; what is not recorded is not fitted.",
)
DOSE_NOT_GIVEN = Check(
    "dose-not-given",
    Level.ASSUMED,
    Part.DOSE,
    "The injected activity is given.",
    "Give the injected activity with its unit.",
)
DOSE_UNREADABLE = Check(
    "dose-unreadable",
    Level.REFUSED,
    Part.DOSE,
    "The injected activity is a positive number in a known unit.",
    "Correct the number or its unit.",
)
PLASMA_FILE = Check(
    "plasma-file",
    Level.REFUSED,
    Part.PLASMA,
    "The file that the option `plasma` of a method names is there, and gives the ratio of plasma to whole blood or "
    "parent fractions.",
    "Correct the file, or what `plasma` says of it.",
)
WEIGHT_NOT_GIVEN = Check(
    "weight-not-given", Level.ASSUMED, Part.WEIGHT, "The body weight is given.", "Give the body weight with its unit."
)
WEIGHT_UNREADABLE = Check(
    "weight-unreadable",
    Level.REFUSED,
    Part.WEIGHT,
    "The body weight is a positive number in a known unit, and the same wherever it stands.",
    "Correct the number or its unit.",
)
UNIT_NOT_GIVEN = Check(
    "unit-not-given",
    Level.ASSUMED,
    Part.SCAN,
    "Every number has a unit of its own.",
    "State the unit; the one that the format asks for was assumed.",
)
FIELD_SPELLING = Check(
    "field-spelling",
    Level.REPAIRED,
    Part.SCAN,
    "Fields have the names that the format gives them.",
    "Correct the name of the field.",
)
UNCALIBRATED = Check(
    "uncalibrated",
    Level.DOUBTFUL,
    Part.SCAN,
    "A scanner's file has a calibration factor, without which its numbers are counts.",
    "Reconstruct the scan with calibration.",
)
STATED_TWICE = Check(
    "stated-twice",
    Level.ASSUMED,
    Part.SCAN,
    "The table of scans and the files of a scan state the same.",
    "Make sure that the table is right.",
)
ROWS_LEFT_OUT = Check(
    "rows-left-out",
    Level.ASSUMED,
    Part.SCAN,
    "Every row of the table of scans, and every recording of a mapping of blood, is of a scan.",
    "Correct its `source`, or take it out.",
)
CONVERTED_BEFORE = Check(
    "converted-before",
    Level.DOUBTFUL,
    Part.SCAN,
    "A scan that is in the dataset already was made of the files, and of the row of the table, that are there now.",
    "Remove the scan from the dataset, and convert it again.",
)
CLOCK_TIME = Check(
    "clock-time",
    Level.ASSUMED,
    Part.SCAN,
    "Times are seconds from time zero.",
    "Write the time in seconds from TimeZero.",
)
HALF_LIFE = Check(
    "half-life",
    Level.DOUBTFUL,
    Part.SCAN,
    "The half-life is that of the nuclide, or of some nuclide of PET where none is named.",
    "Give the half-life in seconds, and the nuclide.",
)
DECAY_START = Check(
    "decay-start",
    Level.DOUBTFUL,
    Part.SCAN,
    "The time to which DecayCorrection START refers is told by the files: the series begins with its first frame, or "
    "factors of decay correction are given.",
    "Give ImageDecayCorrectionTime, in seconds from the first frame.",
)
DECAY_CORRECTED = Check(
    "decay-corrected",
    Level.DOUBTFUL,
    Part.SCAN,
    "All that the files say of it agrees on whether the image is corrected for decay.",
    "Make sure that it is, and give ImageDecayCorrected and DecayCorrectionFactor.",
)
FRAME_REFERENCE = Check(
    "frame-reference",
    Level.DOUBTFUL,
    Part.SCAN,
    "The time that a frame counts as lies within the frame, but for one offset of all frames.",
    "Give FrameTimesStart and FrameDuration in seconds, as they were measured.",
)
FRAME_STARTS = Check(
    "frame-starts",
    Level.ASSUMED,
    Part.SCAN,
    "Frames have times at which their acquisition began.",
    "Make sure that the times are right, or give FrameTimesStart and FrameDuration.",
)
SUV_IMAGE = Check(
    "suv-image",
    Level.ASSUMED,
    Part.SCAN,
    "The image holds activity, not SUV.",
    "Export the image in Bq/mL, or make sure that the SUV were made with this dose and this weight.",
)
CORRECTIONS = Check(
    "corrections",
    Level.ASSUMED,
    Part.SCAN,
    "The image is corrected for attenuation.",
    "Reconstruct the image with attenuation correction; without it, activity deep in the body is too low.",
)
SUBJECT_ROW = Check(
    "subject-row",
    Level.ASSUMED,
    Part.WEIGHT,
    "Tables of participants and sessions name the subject and the session as its folders do.",
    "Correct the name in the table.",
)
BLOOD_FIELDS = Check(
    "blood-fields",
    Level.ASSUMED,
    Part.BLOOD,
    "Fields and columns of blood agree with each other.",
    "Correct the field, or add the column.",
)
BLOOD_CLOCK = Check(
    "blood-clock",
    Level.ASSUMED,
    Part.BLOOD,
    "Blood is timed from the time zero of its scan.",
    "Name the blood file after its scan, with the run.",
)
DISPERSED = Check(
    "blood-dispersed",
    Level.ASSUMED,
    Part.BLOOD,
    "Curves of an autosampler are corrected for dispersion in its tube.",
    "Correct the samples for dispersion, or give DispersionConstant in seconds.",
)
DISPERSION = Check(
    "dispersion",
    Level.REPAIRED,
    Part.BLOOD,
    "Samples of an autosampler that are not corrected for dispersion have a time constant to correct them with.",
    "Nothing, if the constant is right.",
)
REGIONS_LEFT_OUT = Check(
    "regions-left-out",
    Level.REPAIRED,
    Part.SCAN,
    "Every region has a finite curve, a name and a volume.",
    "Extract the region again, or add what is missing.",
)
GROUPS = Check(
    "region-groups",
    Level.ASSUMED,
    Part.SCAN,
    "Every pattern of a group of regions matches regions of known volume.",
    "Correct the pattern in the study file, or add the volumes.",
)
LABEL_IMAGE = Check(
    "label-image",
    Level.REPAIRED,
    Part.SCAN,
    "The label image lies on the voxel grid of the image, with labels that 32 bits hold.",
    "Nothing, if the regions lie where they should; look at the report.",
)
MOTION = Check(
    "motion",
    Level.REPAIRED,
    Part.SCAN,
    "Frames that a study corrects for motion lie where the reference lies.",
    "Nothing, if the displacement is one that the subject can have made; else look at the frame.",
)
PARTIAL_VOLUME = Check(
    "partial-volume",
    Level.REPAIRED,
    Part.SCAN,
    "Region curves that a study corrects for partial volume say how.",
    "Nothing, if the point-spread function is that of scanner and reconstruction.",
)
WHOLE_IMAGE_ONLY = Check(
    "whole-image",
    Level.ASSUMED,
    Part.SCAN,
    "A scan has regions: a label image, masks or a table of region curves.",
    "Add *_dseg.nii.gz or *_mask.nii.gz on the grid of the image, or a table of region curves, below derivatives.",
)
MASKS_OVERLAP = Check(
    "masks-overlap",
    Level.ASSUMED,
    Part.SCAN,
    "No voxel lies in two masks.",
    "Make sure that the masks are meant to overlap; each gives a curve of its own.",
)
FILES_LEFT_OUT = Check(
    "files-left-out",
    Level.ASSUMED,
    Part.SCAN,
    "Every file of a scan is used.",
    "Remove the files that are not meant.",
)

CHECKS = tuple(value for value in list(globals().values()) if isinstance(value, Check))

#: Which check an error of a reader belongs to; the first kind that fits.
_OF_ERRORS: tuple[tuple[type[DlifError], Check], ...] = (
    (MissingInputError, MISSING_FILE),
    (UnitError, UNITS),
    (FrameTimingError, FRAME_TIMES),
    (ImageError, IMAGE_FILE),
    (CurveError, REGION_CURVES),
    (BloodError, BLOOD_FILE),
)


def finding_of(error: DlifError, otherwise: Check = UNREADABLE) -> Finding:
    """The finding that an error of a reader amounts to."""
    check = next((check for kind, check in _OF_ERRORS if isinstance(error, kind)), otherwise)
    return check.found(error.message, where=error.where, remedy=error.hint)


def findings_of(error: DlifError) -> tuple[Finding, ...]:
    """All findings of a scan that an error refuses."""
    return error.findings if isinstance(error, RefusedScanError) else (finding_of(error),)
