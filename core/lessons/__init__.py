"""Lessons as files: their format, the runs they refer to, prepared results and what a learner predicted and answered.

`assets/lessons/FORMAT.md` describes the format. Nothing here trains, measures or draws.
"""
