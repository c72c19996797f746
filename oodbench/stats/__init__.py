"""Statistics of success rates. Plain functions of numbers; what the numbers are of is said in report/summary.py."""
