"""The shared language of Condenser: recipes, events, runs and the catalogue. Imports neither torch nor Streamlit."""
