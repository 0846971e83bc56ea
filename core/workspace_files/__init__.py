"""What a workspace keeps beside its runs: caches, drafts, uploads, the trash of datasets."""
