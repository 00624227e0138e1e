"""One page about one run or several: scores, differences, time, calibration, detection, and every question."""
