"""What a run's folder holds beside its events: artifacts, answers, summaries, and how it is packed and listed."""
