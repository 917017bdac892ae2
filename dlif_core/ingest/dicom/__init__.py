"""Reader of dynamic PET in DICOM."""
