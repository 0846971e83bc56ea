"""What a recipe must obey beyond the bounds of each option: known names, the order of steps, the counts of the data.

A room for each concern. Every function tells all it finds, so that all mistakes are told at once; without torch.
"""
