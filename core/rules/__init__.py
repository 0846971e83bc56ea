"""Rules for recipes beyond the bounds of single options: known names, the order of steps, the counts of the data.

One module per concern. Every function reports all it finds, so that all mistakes are reported at once; without torch.
"""
