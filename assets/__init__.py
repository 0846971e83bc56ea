"""What comes with the project and is no code of it: data, weights, recipes, sample results, the scripts of a bundle."""
