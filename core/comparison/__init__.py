"""What points say beside each other: the one verdict about a difference, the one ratio of latencies, the conclusion."""
