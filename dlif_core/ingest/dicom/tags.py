"""Elements of DICOM that are read; every other is skipped, so that names, dates of birth and remarks never enter.

Text is kept only where a module knows its words: units, kinds of correction, codes, nuclides, species, makers.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """What the value of an element is read as."""

    NUMBERS = "numbers"
    TEXT = "text"
    TEXTS = "texts"
    CODE = "code"


#: Elements of the data set and of its functional groups, by the keyword that DICOM gives them.
ELEMENTS: Mapping[str, Kind] = {
    # which file and series this is
    "SOPClassUID": Kind.TEXT,
    "SOPInstanceUID": Kind.TEXT,
    "SeriesInstanceUID": Kind.TEXT,
    "StudyInstanceUID": Kind.TEXT,
    "FrameOfReferenceUID": Kind.TEXT,
    "SeriesNumber": Kind.NUMBERS,
    "InstanceNumber": Kind.NUMBERS,
    "Modality": Kind.TEXT,
    "SeriesType": Kind.TEXTS,
    "ImageType": Kind.TEXTS,
    # where the frames and slices belong
    "ImageIndex": Kind.NUMBERS,
    "NumberOfSlices": Kind.NUMBERS,
    "NumberOfTimeSlices": Kind.NUMBERS,
    "NumberOfTimeSlots": Kind.NUMBERS,
    "NumberOfRRIntervals": Kind.NUMBERS,
    "TemporalPositionIndex": Kind.NUMBERS,
    "CardiacSynchronizationTechnique": Kind.TEXT,
    "RespiratoryMotionCompensationTechnique": Kind.TEXT,
    # the grid
    "Rows": Kind.NUMBERS,
    "Columns": Kind.NUMBERS,
    "NumberOfFrames": Kind.NUMBERS,
    "SamplesPerPixel": Kind.NUMBERS,
    "PixelSpacing": Kind.NUMBERS,
    "SliceThickness": Kind.NUMBERS,
    "SpacingBetweenSlices": Kind.NUMBERS,
    "ImagePositionPatient": Kind.NUMBERS,
    "ImageOrientationPatient": Kind.NUMBERS,
    # values
    "RescaleSlope": Kind.NUMBERS,
    "RescaleIntercept": Kind.NUMBERS,
    "RescaleType": Kind.TEXT,
    "RealWorldValueSlope": Kind.NUMBERS,
    "RealWorldValueIntercept": Kind.NUMBERS,
    "MeasurementUnitsCodeSequence": Kind.CODE,
    "Units": Kind.TEXT,
    "SUVType": Kind.TEXT,
    # times
    "SeriesDate": Kind.TEXT,
    "SeriesTime": Kind.TEXT,
    "AcquisitionDate": Kind.TEXT,
    "AcquisitionTime": Kind.TEXT,
    "AcquisitionDateTime": Kind.TEXT,
    "FrameAcquisitionDateTime": Kind.TEXT,
    "FrameAcquisitionDuration": Kind.NUMBERS,
    "ActualFrameDuration": Kind.NUMBERS,
    "FrameReferenceTime": Kind.NUMBERS,
    "TimezoneOffsetFromUTC": Kind.TEXT,
    # corrections
    "CorrectedImage": Kind.TEXTS,
    "DecayCorrection": Kind.TEXT,
    "DecayFactor": Kind.NUMBERS,
    "DecayCorrected": Kind.TEXT,
    "DecayCorrectionDateTime": Kind.TEXT,
    "AttenuationCorrected": Kind.TEXT,
    # tracer and subject
    "Radiopharmaceutical": Kind.TEXT,
    "RadiopharmaceuticalStartTime": Kind.TEXT,
    "RadiopharmaceuticalStartDateTime": Kind.TEXT,
    "RadionuclideTotalDose": Kind.NUMBERS,
    "RadionuclideHalfLife": Kind.NUMBERS,
    "RadionuclideCodeSequence": Kind.CODE,
    "RadiopharmaceuticalCodeSequence": Kind.CODE,
    "PatientWeight": Kind.NUMBERS,
    "PatientSpeciesDescription": Kind.TEXT,
    "PatientSpeciesCodeSequence": Kind.CODE,
    # scanner
    "Manufacturer": Kind.TEXT,
    "ManufacturerModelName": Kind.TEXT,
    "ReconstructionMethod": Kind.TEXT,
}

#: Sequences that are looked into for the elements above.
INJECTION = "RadiopharmaceuticalInformationSequence"
SHARED, OF_FRAMES = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"

#: Elements that tell series apart and whether one is dynamic.
FOR_LISTING = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "Modality", "SeriesType"),
    *("Rows", "NumberOfFrames", "NumberOfTimeSlices", "NumberOfTimeSlots", "ImagePositionPatient"),
)


class PrivateElement(NamedTuple):
    """An element of a maker; it counts only in a block that the maker's name reserves.

    Attributes
    ----------
    creator
        Name of the private creator that must stand there.
    group, element
        Group, and the last two figures of the element.
    kind
        What its value is read as.
    """

    creator: str
    group: int
    element: int
    kind: Kind


#: Private elements by the name under which their values are kept.
PRIVATE: Mapping[str, PrivateElement] = {
    "PhilipsSuvFactor": PrivateElement("Philips PET Private Group", 0x7053, 0x00, Kind.NUMBERS),
    "PhilipsActivityFactor": PrivateElement("Philips PET Private Group", 0x7053, 0x09, Kind.NUMBERS),
    "GeScanDateTime": PrivateElement("GEMS_PETD_01", 0x0009, 0x0D, Kind.TEXT),
    "GeInjectionDateTime": PrivateElement("GEMS_PETD_01", 0x0009, 0x3B, Kind.TEXT),
    "PmodStarts": PrivateElement("PMOD_1", 0x0055, 0x01, Kind.NUMBERS),
    "PmodPositions": PrivateElement("PMOD_1", 0x0055, 0x02, Kind.NUMBERS),
    "PmodOrientations": PrivateElement("PMOD_1", 0x0055, 0x03, Kind.NUMBERS),
    "PmodDurations": PrivateElement("PMOD_1", 0x0055, 0x04, Kind.NUMBERS),
    "PmodSlopes": PrivateElement("PMOD_1", 0x0055, 0x05, Kind.NUMBERS),
}

#: Blocks that private creators reserve in practice.
BLOCKS = range(0x10, 0x20)
