"""Answers the requests of jobs: one file per kind, named as in core.questions."""
