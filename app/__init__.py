"""The service and its command line: the only floor with I/O, clock, network and environment."""
