"""Statistics of measured accuracies: chance, intervals, what a confusion matrix adds up to."""
