"""How good talks were: forms of criteria, scores by people, calls drawn for it, calibration of scorers."""
