"""The parts that tests stand on; each is real."""
