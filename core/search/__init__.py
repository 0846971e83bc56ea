"""The best within bounds: what may vary, what was tried, what to take. `study.py` alone imports Optuna, and only the
driver's process imports `study.py`."""
