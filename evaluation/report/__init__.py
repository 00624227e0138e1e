"""The report: one page about one run or several, with scores, times and every question."""
