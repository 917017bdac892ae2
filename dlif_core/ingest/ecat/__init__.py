"""ECAT 7 images of CTI and Siemens scanners."""
