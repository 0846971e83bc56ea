"""What answers each kind of job: preview, profile, ranking, sensitivity, import, bundle."""
