"""Images of microPET and Inveon scanners of Concorde and Siemens."""
