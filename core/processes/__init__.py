"""Everything that starts, watches or ends a process: workers, supervisor, dashboard."""
