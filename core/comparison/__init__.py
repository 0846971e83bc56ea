"""What points say beside each other: chance, intervals, the one verdict about a difference, the conclusion."""
